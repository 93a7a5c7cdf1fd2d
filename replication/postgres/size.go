package postgres

import (
	"context"
	"fmt"
	"time"
)

// Measured is what a tenant has on premises.
type Measured struct {
	Rows int64
	// Freeze is how long it would be closed: its rows are read here, then there, and the steps take
	// their time. What replication lags behind is not in it.
	Freeze time.Duration
}

// Measure reads the rows of some tenants on premises as a freeze reads them, one tenant after the
// other, and says how long a freeze of each would take. It stops when ctx ends, with what it has.
// It changes nothing.
func (p *Pair) Measure(ctx context.Context, tenants []int64) (map[int64]Measured, error) {
	tables, err := p.LoadTables(ctx)
	if err != nil {
		return nil, err
	}
	out := map[int64]Measured{}
	for _, t := range tenants {
		id, err := TenantID(t)
		if err != nil {
			return out, err
		}
		begun := time.Now()
		found, err := p.OnPrem.contents(ctx, p.OnPrem.Pool, tables, id)
		if err != nil {
			if ctx.Err() != nil {
				return out, nil //nolint:nilerr // what was not reached is not measured, and said so
			}
			return out, fmt.Errorf("measure tenant %d: %w", t, err)
		}
		took := time.Since(begun)
		m := Measured{Freeze: 2*took + StepsTake}
		for _, c := range found {
			m.Rows += c.rows
		}
		out[t] = m
	}
	return out, nil
}

// Size is how many bytes the tables of the dataset take on premises, without their indexes.
func (p *Pair) Size(ctx context.Context) (bytes int64, err error) {
	tables, err := ReadTables(ctx, p.OnPrem.Pool, p.Dataset)
	if err != nil {
		return 0, err
	}
	for _, t := range tables {
		if t.Class != Tenants && t.Class != Reference {
			continue
		}
		var n int64
		err := p.OnPrem.Pool.QueryRow(ctx, `SELECT coalesce(sum(pg_table_size(r)), 0)::bigint FROM (SELECT $1::oid AS r
			UNION SELECT relid::oid FROM pg_partition_tree($1::oid::regclass)) x WHERE r IS NOT NULL`, t.OID).Scan(&n)
		if err != nil {
			return 0, fmt.Errorf("read the size of table %s: %w", t, err)
		}
		bytes += n
	}
	return bytes, nil
}
