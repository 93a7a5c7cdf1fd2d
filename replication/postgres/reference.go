package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// referenceLooks is how often a table must differ to be said to.
const referenceLooks = 3

// ReferenceDifferences compares the tables that belong to no tenant, which are written on premises
// and copied. What differs is looked at again after a beat, since it may have been on its way.
// None: both sides are alike.
func (p *Pair) ReferenceDifferences(ctx context.Context) ([]string, error) {
	tables, err := ReadTables(ctx, p.OnPrem.Pool, p.Dataset)
	if err != nil {
		return nil, fmt.Errorf("on premises: %w", err)
	}
	tables = Of(tables, Reference)
	for look := 1; ; look++ {
		var found []string
		var differ []Table
		for _, t := range tables {
			here, there, err := p.wholeContents(ctx, t)
			switch {
			case err != nil:
				return nil, fmt.Errorf("compare table %s: %w", t, err)
			case here.rows != there.rows:
				found = append(found, fmt.Sprintf("table %s: %d rows on premises, %d on AWS", t, here.rows, there.rows))
			case here.hash != there.hash:
				found = append(found, fmt.Sprintf("table %s: %d rows on each side, with different content", t, here.rows))
			default:
				continue
			}
			differ = append(differ, t)
		}
		if len(differ) == 0 || look == referenceLooks {
			return found, nil
		}
		if _, err := p.Lag(ctx); err != nil {
			return nil, err
		}
		tables = differ
	}
}

// referenceEvery is how long a comparison that found nothing holds: the tables are read whole, and
// many customers move in a minute.
const referenceEvery = time.Minute

// readyReference wants the tables of no tenant to be alike before a Move.
func (p *Pair) readyReference(ctx context.Context, block func(check, reason, remedy string)) error {
	p.mu.Lock()
	fresh := time.Since(p.referenceAlike) < referenceEvery
	p.mu.Unlock()
	if fresh {
		return nil
	}
	differ, err := p.ReferenceDifferences(ctx)
	if err != nil {
		return err
	}
	if len(differ) > 0 {
		block("postgres-reference", "tables that belong to no customer differ: "+strings.Join(differ, "; "),
			"find out who wrote on AWS past the guard, and bring those rows up to date with premises")
		return nil
	}
	p.mu.Lock()
	p.referenceAlike = time.Now()
	p.mu.Unlock()
	return nil
}

func (p *Pair) wholeContents(ctx context.Context, t Table) (here, there content, err error) {
	g, gctx := errgroup.WithContext(ctx)
	for s, into := range map[*Server]*content{p.OnPrem: &here, p.AWS: &there} {
		g.Go(func() error {
			return s.Unhurried(gctx, func(c *pgx.Conn) error { return c.QueryRow(gctx, t.wholeQuery()).Scan(&into.rows, &into.hash) })
		})
	}
	return here, there, g.Wait()
}

// wholeQuery is contentQuery without a tenant.
func (t Table) wholeQuery() string {
	cols := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		cols[i] = "x." + pgx.Identifier{c}.Sanitize()
	}
	return fmt.Sprintf(`SELECT count(*), coalesce(sum(hashtextextended(ROW(%s)::text COLLATE "C", 0)), 0)::text FROM %s x`,
		strings.Join(cols, ", "), t.Ident())
}
