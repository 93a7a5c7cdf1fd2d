package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// poolSize is the number of connections of one process: there are many processes and few cores.
const poolSize = 4

// requestTimeout bounds what one request may wait for its database: longer than a fence waits,
// shorter than a client does.
const requestTimeout = 5 * time.Second

type server struct {
	db      *pgxpool.Pool
	files   fileStore
	tenants tenants
	faults  faults
	name    string // Side/Name

	healthMu  sync.Mutex
	healthAt  time.Time
	healthErr error
}

// Run serves until ctx ends.
func Run(ctx context.Context, c Config) error {
	if err := c.validate(); err != nil {
		return fmt.Errorf("orders application: %w", err)
	}
	s, err := newServer(ctx, c)
	if err != nil {
		return fmt.Errorf("orders application %s: %w", c.Name, err)
	}
	defer s.db.Close()
	servers := []*http.Server{{Addr: c.Listen, Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}}
	if c.Admin != "" {
		mux := http.NewServeMux()
		mux.Handle("/fault", &s.faults)
		servers = append(servers, &http.Server{Addr: c.Admin, Handler: mux, ReadHeaderTimeout: 10 * time.Second})
	}
	return serve(ctx, servers)
}

func serve(ctx context.Context, servers []*http.Server) error {
	ended := make(chan error, len(servers))
	for _, h := range servers {
		l, err := net.Listen("tcp", h.Addr)
		if err != nil {
			return fmt.Errorf("orders application: %w", err)
		}
		go func() { ended <- h.Serve(l) }()
	}
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	// Requests in flight are answered before the process ends, as a machine that is drained would.
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	for _, h := range servers {
		err = errors.Join(err, h.Shutdown(stop))
	}
	return err
}

func newServer(ctx context.Context, c Config) (*server, error) {
	dsn, err := c.database(ctx)
	if err != nil {
		return nil, err
	}
	conf, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the DSN of the database does not parse") // pgx's error may quote it
	}
	conf.MaxConns = poolSize
	conf.MaxConnIdleTime = time.Minute
	conf.ConnConfig.ConnectTimeout = 2 * time.Second
	conf.ConnConfig.RuntimeParams["application_name"] = "orders-" + c.Name
	db, err := pgxpool.NewWithConfig(ctx, conf)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	files, err := c.files(ctx)
	if err != nil {
		db.Close()
		return nil, err
	}
	s := &server{db: db, files: files, tenants: tenants{from: c.Tenants}, name: c.Side + "/" + c.Name}
	if err := s.tenants.load(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /api/healthz", s.health) // where only /api/* leads to this workload
	mux.HandleFunc("POST /orders", s.tenant(s.postOrder))
	mux.HandleFunc("GET /orders/{token}", s.tenant(s.getOrder))
	mux.HandleFunc("PATCH /acct", s.tenant(s.patchAcct))
	mux.HandleFunc("POST /api/events", s.tenant(s.postEvent))
	mux.HandleFunc("PUT /files/{name...}", s.tenant(s.putFile))
	mux.HandleFunc("GET /files/{name...}", s.tenant(s.getFile))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Served-By", s.name)
		mux.ServeHTTP(w, r)
	})
}

// handler answers a tenant's request; an error it returns is answered by fail.
type handler func(ctx context.Context, t Tenant, w http.ResponseWriter, r *http.Request) error

func (s *server) tenant(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t, ok := s.tenants.of(r.Context(), r.Host)
		if !ok {
			http.Error(w, "no tenant has the host "+r.Host, http.StatusMisdirectedRequest)
			return
		}
		if s.faults.suffer(w, r, r.Host, t.Tenant) {
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		if err := h(ctx, t, w, r); err != nil {
			fail(w, err)
		}
	}
}

// health says whether the database answers. Its answer is kept for a moment: every customer's
// probes ask.
func (s *server) health(w http.ResponseWriter, r *http.Request) {
	t, known := s.tenants.of(r.Context(), r.Host)
	if known && s.faults.suffer(w, r, r.Host, t.Tenant) {
		return
	}
	s.healthMu.Lock()
	defer s.healthMu.Unlock()
	if time.Since(s.healthAt) > 200*time.Millisecond {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		_, s.healthErr = s.db.Exec(ctx, "SELECT 1")
		cancel()
		s.healthAt = time.Now()
	}
	if s.healthErr != nil {
		http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// badRequest is an error of the client's.
type badRequest string

func (b badRequest) Error() string { return string(b) }

// errElsewhere says that the tenant's writes do not count here.
var errElsewhere = errors.New("the tenant is not writable here")

// fail answers an error: what may be different in a moment with 503, the client's own with 400. It
// asks for a second's wait, the shortest that Retry-After knows, where the database needs rest. A
// tenant at home elsewhere has its route within a tenth of that, so its client takes its own time.
func fail(w http.ResponseWriter, err error) {
	var bad badRequest
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &bad):
		http.Error(w, bad.Error(), http.StatusBadRequest)
		return
	case errors.Is(err, pgx.ErrNoRows):
		http.Error(w, "not found", http.StatusNotFound)
		return
	case errors.As(err, &pg) && !transient(pg.Code):
		http.Error(w, "database: "+pg.Message, http.StatusInternalServerError)
		return
	}
	if !elsewhere(err) {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, "try again: "+err.Error(), http.StatusServiceUnavailable)
}

// elsewhere says that the tenant's writes do not count here: by Drover's guard, or by is_home.
func elsewhere(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, errElsewhere) || errors.As(err, &pg) && pg.Code == guarded
}

// guarded is the SQLSTATE of Drover's guard.
const guarded = "DR001"

// transient says which SQLSTATEs may be gone at the next try: the fence, serialization and
// deadlock, lock and statement time-outs, connections, resources, shutdowns.
func transient(code string) bool {
	if code == guarded {
		return true
	}
	switch code[:2] {
	case "40", "55", "57", "08", "53":
		return true
	}
	return false
}

func reply(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone: nothing to tell it
	return nil
}
