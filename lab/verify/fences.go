package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// fences holds what keeps and carries each customer's writes against its home, on both sides: the
// guard's triggers and mode, the publications' filters and the directions they are made from. It
// reads catalogs and tables, and calls no function of Drover's.
func fences(ctx context.Context, db map[string]*pgx.Conn, o Options, res *Result) error {
	for _, side := range []string{onprem, onAWS} {
		c := db[side]
		if c == nil {
			continue
		}
		ready, err := prepared(ctx, c)
		if err != nil {
			return fmt.Errorf("ask %s: %w", side, err)
		}
		if !ready {
			continue
		}
		for _, check := range []func(context.Context, string, *pgx.Conn, Options, *Result) error{guard, directions, filters} {
			if err := check(ctx, side, c, o, res); err != nil {
				return fmt.Errorf("verify the fences on %s: %w", side, err)
			}
		}
	}
	return nil
}

// guard wants every table of the tenants, partitions too, to refuse writes of who is not at home.
func guard(ctx context.Context, side string, c *pgx.Conn, o Options, res *Result) error {
	// Of a trigger's type, 31 is: for each row, before, on insert, delete and update.
	const unguarded = `SELECT c.relname::text FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT EXISTS (
			SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
			WHERE t.tgrelid = c.oid AND p.pronamespace = 'drover'::regnamespace AND t.tgenabled IN ('O', 'A') AND t.tgtype & 31 = 31)
		ORDER BY 1`
	rows, err := c.Query(ctx, unguarded)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		res.violation("table %s on %s is not guarded: no trigger of Drover's that is enabled sees every write", name, side)
	}
	return nil
}

// directions wants exactly the customers at home to be carried to the other side, by Drover's own
// record.
func directions(ctx context.Context, side string, c *pgx.Conn, o Options, res *Result) error {
	rows, err := c.Query(ctx, "SELECT tenant::bigint, bool_or(is_on), bool_and(is_on) FROM drover.direction GROUP BY 1")
	if err != nil {
		return err
	}
	type carried struct{ any, all bool }
	recorded := map[int64]carried{}
	var tenant int64
	var r carried
	if _, err := pgx.ForEachRow(rows, []any{&tenant, &r.any, &r.all}, func() error { recorded[tenant] = r; return nil }); err != nil {
		return err
	}
	for _, customer := range o.Customers {
		r, ok := recorded[customer.Tenant]
		home := res.Homes[customer.ID] == side
		if ok && (home && !r.all || !home && r.any) {
			res.violation("customer %s: its home is %s, and on %s its direction to the other side is %s", customer.ID,
				res.Homes[customer.ID], side, onOff(!home))
		}
	}
	return nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// filters asks the publications themselves whose rows they let through, whatever they were made
// from.
func filters(ctx context.Context, side string, c *pgx.Conn, o Options, res *Result) error {
	rows, err := c.Query(ctx, `SELECT pubname::text, tablename::text, coalesce(rowfilter, 'true') FROM pg_publication_tables
		WHERE pubname LIKE 'drover\_%' AND schemaname = 'public' AND 'tenant_id' = ANY (attnames) ORDER BY 1, 2`)
	if err != nil {
		return err
	}
	type published struct{ Publication, Table, Filter string }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[published])
	if err != nil {
		return err
	}
	sent := map[string][]int64{} // table -> tenants
	for _, p := range all {
		tenants, err := through(ctx, c, p.Filter, o)
		if err != nil {
			return fmt.Errorf("ask the filter of %s in %s: %w", p.Table, p.Publication, err)
		}
		sent[p.Table] = append(sent[p.Table], tenants...)
	}
	for _, name := range o.Before.tables.tenanted {
		var wrong []string
		for _, customer := range o.Customers {
			if home := res.Homes[customer.ID] == side; home != slices.Contains(sent[name], customer.Tenant) {
				wrong = append(wrong, customer.ID)
			}
		}
		if len(wrong) > 0 {
			res.violation("publication of %s on %s: what it carries is not whose home this is, for %s", name, side, strings.Join(wrong,
				", "))
		}
	}
	return nil
}

// through are the customers' tenants that a row filter lets through.
func through(ctx context.Context, c *pgx.Conn, filter string, o Options) ([]int64, error) {
	var ids []int64
	for _, customer := range o.Customers {
		ids = append(ids, customer.Tenant)
	}
	rows, err := c.Query(ctx, "SELECT tenant_id::bigint FROM unnest($1::bigint[]) AS t(tenant_id) WHERE "+filter, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}
