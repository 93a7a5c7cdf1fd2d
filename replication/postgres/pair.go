package postgres

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/drover-migration/drover/migration"
)

// Pair is one dataset's two servers. It is safe for concurrent use and lives as long as the worker: a freeze has no time to connect.
type Pair struct {
	OnPrem, AWS *Server
	Dataset     migration.Postgres
	Plan        string // its name
	Name        string // of the dataset
	Names       Names

	pgDump string // "": found

	mu      sync.Mutex
	tables  []Table            // what VerifyTenant compares, as last read
	recent  recent             // freezes of this worker, for predictions
	renewed map[string]Address // subscription -> the connection that this worker last gave it
}

// Server is one side of a pair.
type Server struct {
	Pool *pgxpool.Pool
	Side migration.Side

	peer  Address                                // how the other server reaches it
	renew func(context.Context) (Address, error) // the user and password that hold now; nil: those of own and peer

	mu  sync.Mutex
	own Address // how the worker reaches it, with the user and password that were last known
}

// loginLimit is how long a new connection waits for its secret: what a freeze loses at most by a store of secrets that hangs.
const loginLimit = 2 * time.Second

// with is the address with the user and password that hold now. Host, port and database stay: a pair is two known databases, and one that
// moved is found by a worker that starts.
func (s *Server) with(ctx context.Context, a Address) (Address, error) {
	if s.renew == nil {
		return a, nil
	}
	now, err := s.renew(ctx)
	if err != nil {
		return Address{}, fmt.Errorf("log in to the database %s: %w", s.where(), err)
	}
	a.User, a.Password = now.User, now.Password
	return a, nil
}

// logIn has a new connection use the user and password that hold when it is made, or the last that were known where the secret cannot be
// read in time.
func (s *Server) logIn(ctx context.Context, c *pgx.ConnConfig) error {
	ctx, cancel := context.WithTimeout(ctx, loginLimit)
	defer cancel()
	now, err := s.with(ctx, s.here())
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.own = now
	}
	c.User, c.Password = s.own.User, s.own.Password
	return nil
}

func (s *Server) here() Address {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own
}

// Address is how a server is reached. It holds a password: it is never printed.
type Address struct {
	Host     string
	Port     int
	Database string
	User     string
	Password string
	SSLMode  string // "": prefer
	RootCert string // file on the connecting machine; empty: none
}

// String leaves the password out.
func (a Address) String() string {
	return fmt.Sprintf("%s@%s/%s", a.User, net.JoinHostPort(a.Host, strconv.Itoa(a.Port)), a.Database)
}

// GoString keeps %#v from printing the password.
func (a Address) GoString() string { return a.String() }

func (a Address) sslMode() string {
	if a.SSLMode == "" {
		return "prefer"
	}
	return a.SSLMode
}

// dsn is a connection string for pgx. It holds the password.
func (a Address) dsn() string {
	q := url.Values{"sslmode": {a.sslMode()}}
	if a.RootCert != "" {
		q.Set("sslrootcert", a.RootCert)
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(a.User, a.Password), Host: net.JoinHostPort(a.Host, strconv.Itoa(a.Port)), Path: "/" + a.Database, RawQuery: q.Encode()}
	return u.String()
}

// conninfo is a connection string for the other server's subscription. It holds the password. The certificate file is left out: it is
// on the worker, not on the server.
func (a Address) conninfo(name string) string {
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
	mode := a.sslMode()
	if strings.HasPrefix(mode, "verify-") && a.RootCert != "" {
		mode = "require"
	}
	return fmt.Sprintf("host=%s port=%d dbname=%s user=%s password=%s sslmode=%s application_name=%s connect_timeout=10",
		quote(a.Host), a.Port, quote(a.Database), quote(a.User), quote(a.Password), quote(mode), quote(name))
}

// querier is what a pool, a connection and a transaction have in common.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// settings are pinned on every connection: two servers must print a row alike for its hash to be alike, no statement
// may hang, and what was answered must outlive a crash.
var settings = map[string]string{
	"application_name": "drover", "search_path": "pg_catalog",
	"TimeZone": "UTC", "DateStyle": "ISO, MDY", "IntervalStyle": "postgres", "bytea_output": "hex", "extra_float_digits": "1",
	"statement_timeout": "30s", "idle_in_transaction_session_timeout": "60s", "lock_timeout": "5s", "synchronous_commit": "on",
	"default_transaction_isolation": "read committed", "default_transaction_read_only": "off",
}

// Connect opens a side's pool and proves it by connecting. The other server reaches this one at peer. Every connection is made with the user
// and password that renew gives then, so that a secret may be rotated, or with the last that were known where it fails or is nil.
func Connect(ctx context.Context, side migration.Side, here, peer Address, renew func(context.Context) (Address, error)) (*Server, error) {
	s := &Server{Side: side, own: here, peer: peer, renew: renew}
	c, err := pgxpool.ParseConfig(here.dsn())
	if err != nil {
		// The error would quote the connection string.
		return nil, fmt.Errorf("connect to the database %s: the address %s cannot be used", s.where(), here)
	}
	for k, v := range settings {
		c.ConnConfig.RuntimeParams[k] = v
	}
	c.ConnConfig.ConnectTimeout = 10 * time.Second
	c.BeforeConnect = s.logIn
	c.MinConns, c.MaxConns = 2, 12
	c.MaxConnLifetime, c.MaxConnIdleTime = 12*time.Hour, time.Hour
	if s.Pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), c); err != nil {
		return nil, fmt.Errorf("connect to the database %s (%s): %w", s.where(), here, err)
	}
	if err := s.Pool.Ping(ctx); err != nil {
		s.Pool.Close()
		return nil, fmt.Errorf("connect to the database %s (%s): %w", s.where(), here, err)
	}
	return s, nil
}

// NewPair joins two servers. The dataset names what is in the database.
func NewPair(plan string, d migration.Dataset, onprem, aws *Server) *Pair {
	return &Pair{OnPrem: onprem, AWS: aws, Dataset: *d.Postgres, Plan: plan, Name: d.Name, Names: NamesOf(plan, d.Name)}
}

// Close closes both pools.
func (p *Pair) Close() {
	p.OnPrem.Pool.Close()
	p.AWS.Pool.Close()
}

// Side is one of the two servers.
func (p *Pair) Side(s migration.Side) *Server {
	if s == migration.AWS {
		return p.AWS
	}
	return p.OnPrem
}

func (p *Pair) servers() []*Server { return []*Server{p.OnPrem, p.AWS} }

func (s *Server) where() string {
	if s.Side == migration.AWS {
		return "on AWS"
	}
	return "on premises"
}

// unhurried runs do on a connection whose statements may take as long as they need: index builds, whole-table reads, first copies.
func (s *Server) unhurried(ctx context.Context, do func(*pgx.Conn) error) error {
	c, err := s.Pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	if _, err := c.Exec(ctx, `SET statement_timeout = 0`); err != nil {
		return err
	}
	err = do(c.Conn())
	if _, rerr := c.Exec(context.WithoutCancel(ctx), `RESET ALL`); rerr != nil && err == nil {
		err = rerr
	}
	return err
}
