package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// fillViews fills the materialised views on AWS that have never been and are filled on premises: a
// schema comes without rows, and a view that was never filled cannot be read. Those that others are
// made of come first, since they are older. A view that is filled is left alone.
func (p *Pair) fillViews(ctx context.Context, say func(string)) error {
	const views = `SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'm' AND c.relispopulated = $1 AND ` + NotOurs + ` ORDER BY c.oid`
	filled, err := p.OnPrem.texts(ctx, views, true)
	if err != nil {
		return fmt.Errorf("read materialised views on premises: %w", err)
	}
	empty, err := p.AWS.texts(ctx, views, false)
	if err != nil {
		return fmt.Errorf("read materialised views on AWS: %w", err)
	}
	empty = slices.DeleteFunc(empty, func(v string) bool { return !slices.Contains(filled, v) })
	return p.AWS.Unhurried(ctx, func(c *pgx.Conn) error {
		for _, v := range empty {
			say("filling materialised view " + v)
			if _, err := c.Exec(ctx, "REFRESH MATERIALIZED VIEW "+v); err != nil {
				return fmt.Errorf("fill materialised view %s on AWS: %w", v, err)
			}
		}
		return nil
	})
}

// texts are the answers to a question of one column.
func (s *Server) texts(ctx context.Context, question string, args ...any) ([]string, error) {
	rows, err := s.Pool.Query(ctx, question, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
