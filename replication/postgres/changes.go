package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
)

// Changes says what of both schemas is no longer as Prepare left it, each with its table: tables,
// columns and partitions that came or went, guards and replica identities that are missing. Rows of
// such a table may be written on the side that is not home, or stay behind.
func (p *Pair) Changes(ctx context.Context) ([]string, error) {
	var tables [2][]Table
	var bare [2][]string
	g, gctx := errgroup.WithContext(ctx)
	for i, s := range p.Both() {
		g.Go(func() (err error) {
			if tables[i], err = ReadTables(gctx, s.Pool, p.Dataset); err == nil {
				bare[i], err = p.unprepared(gctx, s, tables[i])
			}
			if err != nil {
				return fmt.Errorf("%s: %w", s.Where(), err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := slices.Concat(bare[0], bare[1])
	for i, s := range p.Both() {
		for _, t := range tables[i] {
			at := slices.IndexFunc(tables[1-i], func(x Table) bool { return x.String() == t.String() })
			switch {
			case t.Class == Excluded || t.Class != Tenants && s.Side == migration.AWS && at < 0:
			case t.Class == Unclassified && s.Side == migration.OnPrem:
				out = append(out, fmt.Sprintf("table %s %s is neither a customer's nor named in the plan", t, s.Where()))
			case at < 0:
				out = append(out, fmt.Sprintf("table %s is only %s", t, s.Where()))
			case t.Class != Unclassified:
				for _, c := range t.Columns {
					if !slices.Contains(tables[1-i][at].Columns, c) {
						out = append(out, fmt.Sprintf("column %s of table %s is only %s", c, t, s.Where()))
					}
				}
			}
		}
	}
	return out, nil
}

// unprepared is what Prepare would still have to do to the tables of one side. A subscription that
// is gone as a whole is no change of a schema: its direction is lost, and others say so.
func (p *Pair) unprepared(ctx context.Context, s *Server, tables []Table) ([]string, error) {
	var rels []uint32
	var columns []string
	for _, t := range tables {
		// A reference table goes to AWS only, and has no tenant column.
		if t.Class == Tenants || t.Class == Reference {
			rels, columns = append(rels, t.OID), append(columns, t.Column)
		}
	}
	rows, err := s.Pool.Query(ctx, `WITH t AS (SELECT rel, col, col <> '' AS tenants FROM unnest($1::oid[], $2::text[]) t(rel, col)),
		part AS (SELECT t.*, coalesce(p.relid::oid, t.rel) AS leaf FROM t LEFT
		JOIN LATERAL pg_partition_tree(t.rel::regclass) p ON true WHERE tenants),
		name AS (SELECT c.oid, n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace),
		published AS (SELECT r.prrelid FROM pg_publication_rel r JOIN pg_publication u ON u.oid = r.prpubid WHERE u.pubname IN ($3, $5)),
		subscription AS (SELECT oid FROM pg_subscription WHERE subname = $4
		  AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())),
		subscribed AS (SELECT r.srrelid FROM pg_subscription_rel r JOIN subscription u ON u.oid = r.srsubid)
		SELECT format('table %s %s %s', name, $6::text, why) FROM (
		  SELECT leaf, 'is not guarded' AS why FROM part
		    WHERE NOT EXISTS (SELECT FROM drover.member m WHERE m.pub = $3 AND m.rel = part.rel AND m.col = part.col)
		       OR (SELECT count(*) FROM pg_trigger g WHERE g.tgrelid = leaf AND g.tgname IN ('zzzz_drover_guard', 'zzzz_drover_truncate')
		       AND g.tgenabled = 'O') < 2
		  UNION ALL SELECT rel, 'is not guarded' FROM t WHERE NOT tenants AND NOT $7
		    AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = rel AND g.tgname = 'zzzz_drover_owner' AND g.tgenabled = 'O')
		  UNION ALL SELECT leaf, 'is not identified by a key with ' || col FROM part JOIN pg_class c ON c.oid = leaf
		    WHERE NOT `+IdentifiedBy("col")+`
		  UNION ALL SELECT rel, 'is not published' FROM t WHERE (tenants OR $7) AND rel NOT IN (SELECT prrelid FROM published)
		  UNION ALL SELECT rel, 'is not subscribed to' FROM t WHERE (tenants OR NOT $7) AND EXISTS (SELECT FROM subscription)
		    AND rel NOT IN (SELECT srrelid FROM subscribed)) x
		JOIN name ON name.oid = leaf ORDER BY 1`,
		rels, columns, p.Names.Outgoing(s.Side), p.Names.Outgoing(s.Side.Other()), p.Names.Reference, s.Where(), s.Side == migration.OnPrem)
	if err == nil {
		var out []string
		if out, err = pgx.CollectRows(rows, pgx.RowTo[string]); err == nil {
			return out, nil
		}
	}
	return nil, fmt.Errorf("look for changes of the schema: %w", err)
}

// mostChanges are named in a finding; the rest is counted.
const mostChanges = 5

func (p *Pair) readySchema(ctx context.Context, from migration.Side, block func(check, reason, remedy string)) (alike bool, err error) {
	changes, err := p.Changes(ctx)
	if err != nil {
		return false, err
	}
	if len(changes) == 0 && from == migration.AWS { // home is what reference tables are compared with
		return true, nil
	}
	if len(changes) == 0 {
		return true, p.readyReference(ctx, block)
	}
	more := ""
	if n := len(changes) - mostChanges; n > 0 {
		more = fmt.Sprintf("; and %d more", n)
		changes = changes[:mostChanges]
	}
	block(
		"postgres-schema",
		"the schema changed after replication was set up: "+strings.Join(changes, "; ")+more,
		"make the change alike on both sides or undo it, then `drover schema take-in PLAN`; `drover schema apply` does both "+
			"(docs/runbook.md, \"A release changes the database's schema\")",
	)
	return false, nil
}
