package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/board"
)

// Commands is what people do from the board; client.Client does it. They are the commands of the
// command line, with the same checks and refusals.
type Commands interface {
	Approve(ctx context.Context, plan, batch string, cmd migration.Command) (migration.Accepted, error)
	Pause(ctx context.Context, plan string, cmd migration.Command) (migration.Accepted, error)
	Finalise(ctx context.Context, plan string, cmd migration.Command) (migration.Accepted, error)
	Resume(ctx context.Context, plan string, cmd migration.Command) (migration.Accepted, error)
	Hold(ctx context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error)
	Retry(ctx context.Context, at client.Aim, cmd migration.Command) (migration.Accepted, error)
	Rollback(ctx context.Context, at client.Aim, cmd migration.Command) (migration.Accepted, error)
	Ack(ctx context.Context, plan, message string, cmd migration.Command) (migration.Accepted, error)
	Note(ctx context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error)
	Defer(ctx context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error)
	Decide(ctx context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error)
	Offer(ctx context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error)
	Take(ctx context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error)
}

// Options are what a board is made of.
type Options struct {
	Hub      *board.Hub
	Commands Commands
	Key      *access.Key
	Sessions *access.Sessions
	Tokens   *access.Tokens // nil: nobody signs in by token
	OIDC     *access.OIDC   // nil: nobody signs in by a provider
	Audit    *Audit
	Log      hclog.Logger
	From     string // the user and machine that the board runs as, USER@HOST: commands carry it

	// Authority signs who has signed in, for the workers, and for the command line of whoever
	// signs in there (drover login); nil: commands are not signed, and nobody signs in for one.
	Authority *identity.Authority
	// As gives the commands of one person, which are signed. It goes with Authority.
	As func(*identity.Holder) Commands

	Decoding *Decoding // nil: nothing is decoded for the Temporal UI

	TLS    bool // browsers reach the board by TLS, here or at a proxy before it
	Limits Limits
}

// Server is the board's pages. It holds no state of a migration.
type Server struct {
	Options

	cache  *cache
	limits *limiters
	live   *streams
	leave  context.Context // ends the streams, which a shutdown would wait for
	handle http.Handler
}

// New makes the board's pages. Leave ends the streams of events when it is done, so that the server
// can be shut down.
func New(leave context.Context, o Options) *Server {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	o.Limits = o.Limits.filled()
	s := &Server{Options: o, cache: newCache(), limits: newLimiters(o.Limits), live: newStreams(o.Limits), leave: leave}
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.Pattern, s.guard(r))
	}
	same := http.NewCrossOriginProtection()
	same.AddInsecureBypassPattern("POST " + decodePath) // it changes nothing, and looks at the origin itself
	same.SetDenyHandler(http.HandlerFunc(s.refuseCrossOrigin))
	s.handle = s.headers(same.Handler(mux))
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handle.ServeHTTP(w, r) }

// headers are those of every answer. No page may load or reach anything but this board, be framed,
// or be kept by a browser or a proxy.
func (s *Server) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		h.Set("Cache-Control", "no-store")
		if s.TLS {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// refuseCrossOrigin answers a change that another site's page has asked a signed-in browser for.
func (s *Server) refuseCrossOrigin(w http.ResponseWriter, r *http.Request) {
	who, _ := s.Sessions.Of(r)
	_ = s.Audit.write(entry{What: "request from another site", Who: who.String(), From: remote(r), At: pathOf(r), Outcome: refused})
	s.fail(w, r, who, http.StatusForbidden, "Refused", "This was asked for by a page of another site.", "Open the board and do it there.")
}

// Serve serves the board on l until ctx ends, then lets requests finish.
func Serve(ctx context.Context, l *http.Server, serve func() error) error {
	l.ReadHeaderTimeout = 10 * time.Second
	l.IdleTimeout = 2 * time.Minute
	l.MaxHeaderBytes = 64 << 10
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- l.Shutdown(last)
	})
	if err := serve(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
