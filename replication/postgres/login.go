package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

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
	err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error { return connectSecretly(ctx, tx, name, peer) })
	if err != nil {
		return fmt.Errorf("renew the connection of subscription %s to %s: %w", name, peer, err)
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
