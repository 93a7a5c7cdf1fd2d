package lb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Balancer serves all listeners that have its port. One laboratory has one load balancer address.
type Balancer struct {
	moto      string
	port      int
	transport *http.Transport
	table     atomic.Pointer[table]
	health    *health

	// LastChange is when the rules last changed, for tests and pages.
	lastChange atomic.Int64
}

// table is a State made ready to be asked.
type table struct {
	version int
	rules   []Rule // of the listener of our port, in order
	groups  map[string]TargetGroup
}

// New makes a Balancer for the listeners of a port, with its rules from moto's URL. Without one it
// obeys only what it is told.
func New(moto string, port int) *Balancer {
	t := &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
		DialContext: (&net.Dialer{Timeout: time.Second}).DialContext, ResponseHeaderTimeout: 30 * time.Second}
	b := &Balancer{moto: moto, port: port, transport: t, health: newHealth()}
	b.table.Store(&table{version: -1})
	return b
}

// Serve serves on l and follows moto until ctx ends.
func (b *Balancer) Serve(ctx context.Context, l net.Listener) error {
	var helpers sync.WaitGroup
	defer helpers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if b.moto != "" {
		helpers.Go(func() { b.follow(ctx) })
	}
	helpers.Go(func() { b.health.run(ctx, b.targets) })
	srv := &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	helpers.Go(func() {
		<-ctx.Done()
		_ = srv.Close()
	})
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("load balancer: %w", err)
	}
	return nil
}

// Version is the version of moto's state that is obeyed, and when it was taken over.
func (b *Balancer) Version() (int, time.Time) {
	return b.table.Load().version, time.UnixMilli(b.lastChange.Load())
}

// follow takes over every change of the rules.
func (b *Balancer) follow(ctx context.Context) {
	for ctx.Err() == nil {
		s, err := b.ask(ctx)
		if err != nil {
			select {
			case <-time.After(200 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		b.Obey(s)
	}
}

// Obey takes over a state.
func (b *Balancer) Obey(s State) {
	if s.Version == b.table.Load().version {
		return
	}
	t := &table{version: s.Version, groups: map[string]TargetGroup{}}
	for _, l := range s.Listeners {
		if l.Port == b.port || len(s.Listeners) == 1 {
			t.rules = append(t.rules, l.Rules...)
		}
	}
	slices.SortStableFunc(t.rules, func(x, y Rule) int { return x.order() - y.order() })
	for _, g := range s.TargetGroups {
		t.groups[g.ARN] = g
	}
	b.table.Store(t)
	b.lastChange.Store(time.Now().UnixMilli())
	b.health.poke()
}

func (b *Balancer) ask(ctx context.Context) (State, error) {
	var s State
	u := fmt.Sprintf("%s/lab/elb?since=%d&wait=20", b.moto, b.table.Load().version)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return s, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return s, fmt.Errorf("ask moto for its load balancers: %s", res.Status)
	}
	return s, json.NewDecoder(res.Body).Decode(&s)
}

// targets are all there are, for the probes.
func (b *Balancer) targets() map[string]string {
	out := map[string]string{}
	for _, g := range b.table.Load().groups {
		for _, t := range g.Targets {
			if t.Address != "" {
				out[t.HostPort()] = g.HealthCheckPath
			}
		}
	}
	return out
}

// ServeHTTP finds the first rule that matches and does what it says.
func (b *Balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, _ := strings.Cut(r.Host, ":")
	t := b.table.Load()
	w.Header().Set("X-LB-Version", strconv.Itoa(t.version))
	i := slices.IndexFunc(t.rules, func(x Rule) bool { return x.matches(host, r.URL.Path) })
	if i < 0 {
		http.Error(w, "no listener rule matches", http.StatusServiceUnavailable)
		return
	}
	rule := t.rules[i]
	if rule.Fixed != nil {
		if rule.Fixed.ContentType != "" {
			w.Header().Set("Content-Type", rule.Fixed.ContentType)
		}
		w.WriteHeader(rule.Fixed.Status)
		_, _ = io.WriteString(w, rule.Fixed.Body)
		return
	}
	target, ok := b.health.choose(t.groups[pick(rule.Forward)])
	if !ok {
		http.Error(w, "no target", http.StatusServiceUnavailable)
		return
	}
	proxy := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: target})
			p.Out.Host = p.In.Host
			p.SetXForwarded()
		},
		Transport:    b.transport,
		ErrorHandler: badGateway,
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	proxy.ServeHTTP(w, r)
}

// badGateway is what an ALB says of a target that closed the connection, or refused it.
func badGateway(w http.ResponseWriter, _ *http.Request, err error) {
	status := http.StatusBadGateway
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		status = http.StatusGatewayTimeout
	}
	http.Error(w, "the target did not answer", status)
}
