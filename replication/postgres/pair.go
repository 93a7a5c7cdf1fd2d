package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/drover-migration/drover/migration"
)

// Pair is one dataset's two servers. It is safe for concurrent use and lives as long as the worker:
// a freeze has no time to connect.
type Pair struct {
	OnPrem, AWS *Server
	Dataset     migration.Postgres
	Plan        string // its name
	Name        string // of the dataset
	Names       Names

	NewCustomers migration.Side // where newcomers write; "": on premises

	Lost    migration.Side // does not answer: whatever is asked of it fails (see Connector.Half); "": both answer
	Silence error          // what the attempt to reach it ended with

	again func(context.Context) error // tries to reach the lost side

	PgDump string           // path of pg_dump; "": found
	Here   func() time.Time // the worker's clock; nil: time.Now

	turn *Turn // of all pairs of a process

	mu             sync.Mutex
	referenceAlike time.Time          // when the tables of no tenant were last seen to be alike
	tables         []Table            // what VerifyTenant compares, as last read
	recent         recent             // freezes of this worker, for predictions
	renewed        map[string]Address // subscription -> the connection that this worker last gave it
}

// Server is one side of a pair.
type Server struct {
	Pool *pgxpool.Pool
	Side migration.Side

	lane *pgxpool.Pool // connections for the steps of Moves alone: no check, poll or copy takes them

	plain *pgx.ConnConfig // as any session of the role connects; nil: the server is silent
	why   error           // why it is silent

	peer  Address                                // how the other server reaches it
	renew func(context.Context) (Address, error) // the user and password that hold now; nil: those of own and peer

	mu  sync.Mutex
	own Address // how the worker reaches it, with the user and password that were last known
}

// Connections of a worker to one side of a pair. Checks, beats, home records and everything that
// takes long share the first number; in a lane of their own are one freeze, since one customer at a
// time has its turn, and the steps that repairs take beside it. A worker may take both from a
// server's max_connections.
const (
	poolConns = 12
	laneConns = 4
)

// Connections is how many connections a worker may hold to one side while so many customers are on
// their way: one each before and after its freeze, as far as there are, and the lane.
func Connections(moving int) int { return min(moving, poolConns) + laneConns }

// pinned is set on every connection: two servers must print a row alike for its hash to be
// alike, no statement may hang, and what was answered must outlive a crash.
var pinned = map[string]string{
	"application_name": "drover", "search_path": "pg_catalog",
	"TimeZone": "UTC", "DateStyle": "ISO, MDY", "IntervalStyle": "postgres", "bytea_output": "hex", "extra_float_digits": "1",
	"statement_timeout": "30s", "idle_in_transaction_session_timeout": "60s", "lock_timeout": "5s", "synchronous_commit": "on",
	"idle_session_timeout":          "0",
	"default_transaction_isolation": "read committed", "default_transaction_read_only": "off",
}

// Connect opens a side's pool and proves it by connecting. The other server reaches this one at
// peer. Every connection is made with the user and password that renew gives then, so that a secret
// may be rotated, or with the last that were known where it fails or is nil. Settings change what
// every connection is made with.
func Connect(ctx context.Context, side migration.Side, here, peer Address, renew func(context.Context) (Address, error),
	settings ...func(*pgx.ConnConfig)) (*Server, error) {
	s := &Server{Side: side, own: here, peer: peer, renew: renew}
	c, err := pgxpool.ParseConfig(here.dsn())
	if err != nil {
		// The error would quote the connection string.
		return nil, fmt.Errorf("connect to the database %s: the address %s cannot be used", s.Where(), here)
	}
	c.ConnConfig.ConnectTimeout = 10 * time.Second
	for _, set := range settings {
		set(c.ConnConfig)
	}
	s.plain = c.ConnConfig.Copy()
	for k, v := range pinned {
		c.ConnConfig.RuntimeParams[k] = v
	}
	major, err := s.major(ctx)
	if err != nil {
		return nil, &connectError{fmt.Errorf("connect to the database %s (%s): %w", s.Where(), here, err)}
	}
	s.peer.major, s.own.major = major, major
	if major >= transactionLimitSince {
		c.ConnConfig.RuntimeParams[transactionLimit] = "0"
	}
	c.BeforeConnect = s.logIn
	c.MaxConnLifetime, c.MaxConnIdleTime = 12*time.Hour, time.Hour
	for _, pool := range []struct {
		at  **pgxpool.Pool
		max int32
	}{{&s.Pool, poolConns}, {&s.lane, laneConns}} {
		c.MinConns, c.MaxConns = 2, pool.max
		if *pool.at, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), c.Copy()); err == nil {
			err = (*pool.at).Ping(ctx)
		}
		if err != nil {
			s.Close()
			return nil, &connectError{fmt.Errorf("connect to the database %s (%s): %w", s.Where(), here, err)}
		}
	}
	return s, nil
}

// Plain is a connection as any session of the role gets it, with what the server, the database and
// the role set, and none of Drover's own settings. The caller closes it.
func (s *Server) Plain(ctx context.Context) (*pgx.Conn, error) {
	if s.plain == nil { // it is silent
		return nil, s.why
	}
	c := s.plain.Copy()
	if err := s.logIn(ctx, c); err != nil {
		return nil, err
	}
	return pgx.ConnectConfig(ctx, c)
}

// major is the server's version as it says it when somebody connects: "15" of "15.14 (Debian)".
func (s *Server) major(ctx context.Context) (int, error) {
	c, err := s.Plain(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	said := c.PgConn().ParameterStatus("server_version")
	major, _ := strconv.Atoi(said[:len(said)-len(strings.TrimLeft(said, "0123456789"))])
	return major, nil
}

// Major is the server's version when it was connected: 15 of 15.14.
func (s *Server) Major() int { return s.peer.major }

// silent is a server that does not answer: whatever is asked of it fails at once, with why.
func silent(side migration.Side, why error) (*Server, error) {
	s := &Server{Side: side, why: why}
	c, err := pgxpool.ParseConfig("host=localhost")
	if err != nil {
		return nil, err
	}
	c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { return why }
	c.MinConns, c.MaxConns = 0, 1
	if s.Pool, err = pgxpool.NewWithConfig(context.Background(), c); err == nil {
		s.lane, err = pgxpool.NewWithConfig(context.Background(), c.Copy())
	}
	return s, err
}

// Reset has every connection to the server made anew: those that it has ended fail once each
// otherwise.
func (s *Server) Reset() {
	for _, p := range []*pgxpool.Pool{s.Pool, s.lane} {
		if p != nil {
			p.Reset()
		}
	}
}

// Close closes both pools of a side.
func (s *Server) Close() {
	for _, p := range []*pgxpool.Pool{s.Pool, s.lane} {
		if p != nil {
			p.Close()
		}
	}
}

// NewPair joins two servers. The dataset names what is in the database.
func NewPair(plan string, d migration.Dataset, onprem, aws *Server) *Pair {
	return &Pair{
		OnPrem: onprem, AWS: aws, Dataset: *d.Postgres, Plan: plan, Name: d.Name, Names: NamesOf(plan, d.Name),
		NewCustomers: d.Postgres.NewCustomers,
		turn:         newTurn(),
	}
}

// Close closes both pools.
func (p *Pair) Close() {
	p.OnPrem.Close()
	p.AWS.Close()
}

// Turn is that of all freezes of this process.
func (p *Pair) Turn() *Turn { return p.turn }

// Side is one of the two servers.
func (p *Pair) Side(s migration.Side) *Server {
	if s == migration.AWS {
		return p.AWS
	}
	return p.OnPrem
}

// Newcomers is the side where a tenant writes that the plan does not know.
func (p *Pair) Newcomers() migration.Side {
	if p.NewCustomers == migration.AWS {
		return migration.AWS
	}
	return migration.OnPrem
}

// Both are the two servers, on premises first.
func (p *Pair) Both() []*Server { return []*Server{p.OnPrem, p.AWS} }

// Where is "on premises" or "on AWS".
func (s *Server) Where() string { return where(s.Side) }
