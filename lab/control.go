package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/go-hclog"
	temporalclient "go.temporal.io/sdk/client"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/lab/load"
)

// Control is what another process is told of a running lab: DIR/lab.json.
type Control struct {
	URL       string          `json:"url"`   // of the control: POST /fault, POST /verify
	Edge      string          `json:"edge"`  // of the load balancer, host:port
	Names     string          `json:"names"` // of the name server, host:port
	Ledger    string          `json:"ledger"`
	Customers []load.Customer `json:"customers"`
}

// ServeControl lets other processes break and verify the lab, and answers with the URL.
func (l *Lab) ServeControl() (string, error) {
	listener, err := net.Listen("tcp", at(l.net.control(), l.ports.control))
	if err != nil {
		return "", fmt.Errorf("lab's control: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /fault", func(w http.ResponseWriter, r *http.Request) {
		var f struct{ Host, Mode string }
		err := json.NewDecoder(r.Body).Decode(&f)
		if err == nil {
			err = l.fault(r.Context(), f.Host, f.Mode)
		}
		answer(w, struct{}{}, err)
	})
	mux.HandleFunc("POST /verify", func(w http.ResponseWriter, r *http.Request) {
		truth, err := l.Verify(r.Context())
		answer(w, truth, err)
	})
	srv := &http.Server{Handler: mux} //nolint:gosec // a lab's own clients on loopback
	go func() { _ = srv.Serve(listener) }()
	l.later(func() { _ = srv.Close() })
	c := Control{URL: "http://" + listener.Addr().String(), Edge: l.Edge(), Names: l.DNS(), Ledger: l.ledger(), Customers: l.customers()}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return "", err
	}
	return c.URL, os.WriteFile(filepath.Join(l.opts.Dir, "lab.json"), b, 0o600)
}

func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(v)
}

func (l *Lab) ledger() string { return filepath.Join(l.opts.Dir, "ledger.jsonl") }

func (l *Lab) customers() (out []load.Customer) {
	for _, c := range l.Shape.Customers() {
		out = append(out, l.loaded(c))
	}
	return out
}

// StartLoad drives the customers' traffic, at so many requests a second over all of them.
func (l *Lab) StartLoad(ctx context.Context, rate float64) (*load.Load, error) {
	return load.Start(ctx, load.Options{URL: "http://" + l.Edge(), Names: l.DNS(), Customers: l.customers(), Rate: rate,
		Ledger: l.ledger()})
}

// Client speaks to the migrations of this lab.
func (l *Lab) Client(ctx context.Context) (*client.Client, error) {
	c, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	l.later(c.Close)
	return client.New(c), nil
}

// dial connects to the lab's Temporal; the caller closes the connection.
func (l *Lab) dial(ctx context.Context) (temporalclient.Client, error) {
	return temporalclient.DialContext(ctx, temporalclient.Options{HostPort: l.TemporalAddress(), Logger: hclog.NewNullLogger(),
		DataConverter: codec.DataConverter(), FailureConverter: codec.FailureConverter()})
}

// Environ is the environment of a person at a shell in this lab.
func (l *Lab) Environ() []string {
	env := os.Environ()
	for k, v := range l.Env() {
		env = append(env, k+"="+v)
	}
	return env
}

// WorkerLog is the end of what the workers wrote.
func (l *Lab) WorkerLog(lines int) string {
	var b strings.Builder
	logs, _ := filepath.Glob(filepath.Join(l.opts.Dir, "workers", "*.log"))
	for _, name := range logs {
		body, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		all := strings.Split(strings.TrimSpace(string(body)), "\n")
		fmt.Fprintf(&b, "--- %s\n%s\n", filepath.Base(name), strings.Join(all[max(0, len(all)-lines):], "\n"))
	}
	return b.String()
}
