package ebs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// blockSize of EBS direct, bytes.
const blockSize = 512 << 10

// Options of a server.
type Options struct {
	Listen       string        // host:port; port 0 or empty: any free one of loopback
	Dir          string        // of the blocks; made if missing
	MotoEndpoint string        // keeps the snapshots' records; empty: nobody does, and snapshot ids are made up here
	Minute       time.Duration // what one minute of StartSnapshot's Timeout lasts; 0: a minute
	Completing   time.Duration // how long a completed snapshot stays pending; 0: not
	Throttle     int           // every Nth put is answered with RequestThrottledException; 0: none
}

// Server is a running block store.
type Server struct {
	opts  Options
	http  *http.Server
	url   string
	moto  *recorder
	stop  context.CancelFunc
	tasks sync.WaitGroup
	asked atomic.Int64 // puts, throttled ones included
	puts  atomic.Int64 // accepted

	mu        sync.Mutex
	snapshots map[string]*record
	tokens    map[string]*started // client token -> what it started
}

// Start starts a block store.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Minute == 0 {
		o.Minute = time.Minute
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("folder of the block store: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("block store: %w", err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{opts: o, url: "http://" + l.Addr().String(), moto: &recorder{url: o.MotoEndpoint}, stop: stop,
		snapshots: map[string]*record{}, tokens: map[string]*started{}}
	s.http = &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	s.tasks.Go(func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			stop()
		}
	})
	s.tasks.Go(func() { s.watchIdle(run) })
	return s, nil
}

// Endpoint is the URL for AWS_ENDPOINT_URL_EBS.
func (s *Server) Endpoint() string { return s.url }

// Puts is how many blocks were accepted, repeats included.
func (s *Server) Puts() int64 { return s.puts.Load() }

// Close stops it; the blocks stay in Dir.
func (s *Server) Close() error {
	s.stop()
	err := s.http.Close()
	s.tasks.Wait()
	return err
}

func (s *Server) routes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST /snapshots", s.startSnapshot)
	m.HandleFunc("PUT /snapshots/{id}/blocks/{index}", s.putBlock)
	m.HandleFunc("POST /snapshots/completion/{id}", s.completeSnapshot)
	m.HandleFunc("GET /snapshots/{id}/blocks/{index}", s.getBlock)
	m.HandleFunc("GET /snapshots/{id}/blocks", s.listBlocks)
	m.HandleFunc("GET /snapshots/{id}/changedblocks", s.changedBlocks)
	return m
}

// watchIdle turns snapshots that were left alone for longer than their time-out into errors, as AWS
// does.
func (s *Server) watchIdle(ctx context.Context) {
	tick := time.NewTicker(max(s.opts.Minute/20, 5*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, sn := range s.expired(time.Now()) {
			s.moto.say(ctx, sn.from, sn.ID, map[string]any{"status": stateError})
		}
	}
}

func (s *Server) expired(now time.Time) (out []*record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sn := range s.snapshots {
		if sn.State == statePending && !sn.completing && now.Sub(sn.touched) > time.Duration(sn.Timeout)*s.opts.Minute {
			sn.State = stateError
			out = append(out, sn)
		}
	}
	return out
}

func (s *Server) blockFile(id string, index int) string {
	return filepath.Join(s.opts.Dir, id, fmt.Sprintf("%08d", index))
}
