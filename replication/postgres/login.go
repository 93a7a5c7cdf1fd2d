package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/drover-migration/drover/migration"
)

// loginLimit is how long a new connection waits for its secret: what a freeze loses at most by a
// store of secrets that hangs.
const loginLimit = 2 * time.Second

// with is the address with the user and password that hold now. Host, port and database stay: a
// pair is two known databases, and one that moved is found by a worker that starts.
func (s *Server) with(ctx context.Context, a Address) (Address, error) {
	if s.renew == nil {
		return a, nil
	}
	now, err := s.renew(ctx)
	if err != nil {
		return Address{}, fmt.Errorf("log in to the database %s: %w", s.Where(), err)
	}
	a.User, a.Password = now.User, now.Password
	return a, nil
}

// logIn has a new connection use the user and password that hold when it is made, or the last that
// were known where the secret cannot be read in time.
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

// Database is the name of the database on the server.
func (s *Server) Database() string { return s.here().Database }

// Login is how the worker reaches the server, with the user and password that hold now.
func (s *Server) Login(ctx context.Context) (Address, error) { return s.with(ctx, s.here()) }

// Peer is how the other server reaches this one, with the user and password that hold now.
func (s *Server) Peer(ctx context.Context) (Address, error) { return s.with(ctx, s.peer) }

// renewEvery is how long changes may fail to come before the connection of their subscription is
// looked at: each look resolves a secret.
const renewEvery = 5 * time.Second

// renew gives the subscription away from a side the login that the side accepts now: a server keeps
// the one it was given, and after a rotation it is refused when its connection is cut. The same
// connection again changes nothing, so that it is written once by each worker and then when the
// secret has changed.
//
// Not covered: a rotation that changes the name as well, unless the new role owns what the old one
// made (a subscription is altered by its owner alone); and a cut between a rotation and the next
// look, which costs the time until then.
func (p *Pair) renew(ctx context.Context, from migration.Side) error {
	return p.Side(from.Other()).Unhurried(ctx, func(c *pgx.Conn) error { return p.RenewOver(ctx, c, from) })
}

// RenewOver is renew on a connection of the subscriber that the caller has.
func (p *Pair) RenewOver(ctx context.Context, c *pgx.Conn, from migration.Side) error {
	source, name := p.Side(from), p.Names.Outgoing(from)
	peer, err := source.with(ctx, source.peer)
	if err != nil {
		return err
	}
	p.mu.Lock()
	same := p.renewed[name] == peer
	p.mu.Unlock()
	if same {
		return nil
	}
	if exists, _, err := Subscription(ctx, c, name); err != nil || !exists {
		return err
	}
	Quietly(ctx, c)
	if _, err := c.Exec(ctx, fmt.Sprintf("ALTER SUBSCRIPTION %s CONNECTION %s", pgx.Identifier{name}.Sanitize(),
		Literal(peer.Conninfo(name)))); err != nil {
		return fmt.Errorf("renew the connection of subscription %s to %s: %w", name, peer, WithoutSecret(err, peer))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.renewed == nil {
		p.renewed = map[string]Address{}
	}
	p.renewed[name] = peer
	return nil
}

// Subscription says whether this database has a subscription, and whether it is enabled.
func Subscription(ctx context.Context, q Querier, name string) (exists, enabled bool, err error) {
	err = q.QueryRow(ctx,
		`SELECT subenabled FROM pg_subscription WHERE subname = $1 AND subdbid = (SELECT oid FROM pg_database
			WHERE datname = current_database())`, name).Scan(&enabled)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("read subscription %s: %w", name, err)
	}
	return true, enabled, nil
}

// Quietly keeps the server from logging the next statement, which holds a password. Only a
// superuser may; for others the server's own settings decide.
func Quietly(ctx context.Context, c *pgx.Conn) {
	for _, set := range []string{"log_statement = 'none'", "log_min_error_statement = 'panic'", "log_min_duration_statement = -1"} {
		_, _ = c.Exec(ctx, "SET "+set)
	}
}

// Literal quotes a string for SQL.
func Literal(s string) string {
	q := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		q = " E" + strings.ReplaceAll(q, `\`, `\\`)
	}
	return q
}

// WithoutSecret makes sure that no word of the server repeats the password.
func WithoutSecret(err error, a Address) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || a.Password == "" {
		return err
	}
	c := *pg
	for _, f := range []*string{&c.Message, &c.Detail, &c.Hint, &c.Where, &c.InternalQuery} {
		*f = strings.ReplaceAll(*f, a.Password, "***")
	}
	return &c
}
