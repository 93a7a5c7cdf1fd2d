package lb

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// probeEvery is shorter than an ALB's least interval (5 s): the laboratory's minutes are a real
// migration's hours.
const probeEvery = time.Second

// unhealthyAfter consecutive failures take a target out, one success puts it back.
const unhealthyAfter = 2

// health knows which targets answer.
type health struct {
	client *http.Client
	wake   chan struct{}
	next   atomic.Uint64

	mu    sync.RWMutex
	fails map[string]int // host:port -> consecutive failures; absent: not probed yet
}

func newHealth() *health {
	return &health{client: &http.Client{Timeout: time.Second}, wake: make(chan struct{}, 1), fails: map[string]int{}}
}

func (h *health) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// choose takes the targets of a group in turn, of the healthy ones; where none is healthy an ALB
// tries them all.
func (h *health) choose(g TargetGroup) (string, bool) {
	var good, all []string
	h.mu.RLock()
	for _, t := range g.Targets {
		if t.Address == "" {
			continue
		}
		all = append(all, t.HostPort())
		if n, probed := h.fails[t.HostPort()]; probed && n < unhealthyAfter {
			good = append(good, t.HostPort())
		}
	}
	h.mu.RUnlock()
	if len(good) == 0 {
		good = all
	}
	if len(good) == 0 {
		return "", false
	}
	return good[h.next.Add(1)%uint64(len(good))], true
}

func (h *health) run(ctx context.Context, targets func() map[string]string) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		h.probeAll(ctx, targets())
		select {
		case <-tick.C:
		case <-h.wake:
		case <-ctx.Done():
			return
		}
	}
}

func (h *health) probeAll(ctx context.Context, targets map[string]string) {
	var all sync.WaitGroup
	for at, path := range targets {
		all.Go(func() {
			ok := h.probe(ctx, "http://"+at+path)
			h.mu.Lock()
			defer h.mu.Unlock()
			if ok {
				h.fails[at] = 0
			} else {
				h.fails[at]++
			}
		})
	}
	all.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for at := range h.fails {
		if _, there := targets[at]; !there {
			delete(h.fails, at)
		}
	}
}

func (h *health) probe(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := h.client.Do(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // a body that was read leaves a connection to use again
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}
