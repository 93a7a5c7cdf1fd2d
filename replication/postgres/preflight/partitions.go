package preflight

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// partition is where a partition lies in its tree: the bounds of those above it, and its own.
type partition struct {
	Within string // of the partition or table that it is one of
	Bound  string // "DEFAULT", or "FOR VALUES ..."
}

// readPartitions are the partitions of a table, each with its bound, by what they are part of.
func readPartitions(ctx context.Context, q postgres.Querier, t postgres.Table) (map[string][]string, error) {
	rows, err := q.Query(ctx, `WITH RECURSIVE tree(oid, within, bound) AS (SELECT $1::oid, '' COLLATE "C", '' COLLATE "C" UNION ALL
		SELECT c.oid, ltrim(p.within || ' ' || p.bound) COLLATE "C", pg_get_expr(c.relpartbound, c.oid) COLLATE "C" FROM tree p
		JOIN pg_inherits h ON h.inhparent = p.oid JOIN pg_class c ON c.oid = h.inhrelid AND c.relispartition)
		SELECT within, bound FROM tree WHERE bound <> '' ORDER BY 1, 2`, t.OID)
	if err != nil {
		return nil, fmt.Errorf("read partitions of %s: %w", t, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[partition])
	if err != nil {
		return nil, fmt.Errorf("read partitions of %s: %w", t, err)
	}
	out := map[string][]string{}
	for _, p := range list {
		out[p.Within] = append(out[p.Within], p.Bound)
	}
	return out, nil
}

// untaken are the partitions of one side whose rows the other's table takes nowhere: it is divided
// at that place, has no such partition and no default one.
func untaken(here, there map[string][]string) (out []string) {
	for _, within := range slices.Sorted(maps.Keys(here)) {
		divided := there[within]
		if len(divided) == 0 || slices.Contains(divided, "DEFAULT") {
			continue
		}
		for _, bound := range here[within] {
			if !slices.Contains(divided, bound) {
				out = append(out, strings.TrimSpace(within+" "+bound))
			}
		}
	}
	if len(here) == 0 && len(there) > 0 && !slices.Contains(there[""], "DEFAULT") {
		out = append(out, "for all other rows")
	}
	return out
}
