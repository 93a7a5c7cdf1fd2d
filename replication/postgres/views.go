package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// fillViews fills the materialised views on AWS that have never been: a schema comes without rows,
// and a view that was never filled cannot be read. Those that others are made of come first, since
// they are older. A view that is filled is left alone.
func (p *Pair) fillViews(ctx context.Context, say func(string)) error {
	return p.AWS.Unhurried(ctx, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, `SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind = 'm' AND NOT c.relispopulated AND `+NotOurs+` ORDER BY c.oid`)
		if err != nil {
			return fmt.Errorf("read materialised views on AWS: %w", err)
		}
		views, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("read materialised views on AWS: %w", err)
		}
		for _, v := range views {
			say("filling materialised view " + v)
			if _, err := c.Exec(ctx, "REFRESH MATERIALIZED VIEW "+v); err != nil {
				return fmt.Errorf("fill materialised view %s on AWS: %w", v, err)
			}
		}
		return nil
	})
}
