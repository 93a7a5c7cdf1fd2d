package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Querier is what a pool, a connection and a transaction have in common.
type Querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Unhurried runs do on a connection whose statements may take as long as they need: index builds,
// whole-table reads, first copies.
func (s *Server) Unhurried(ctx context.Context, do func(*pgx.Conn) error) error {
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

// Patiently repeats what may lose against writers, VACUUM or an index build, until ctx ends.
func Patiently(ctx context.Context, do func() error) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := do()
		var pg *pgconn.PgError
		if err == nil || !errors.As(err, &pg) || pg.Code != "55P03" && pg.Code != "40P01" {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (still waiting: %w)", ctx.Err(), err)
		case <-time.After(wait):
		}
	}
}

// IsCode says whether a server answered with this SQLSTATE.
func IsCode(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}
