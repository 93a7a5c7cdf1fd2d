package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// Verification is what a comparison of a tenant's rows found.
type Verification struct {
	Rows        int64
	Tables      int
	Differences []string // by table; none: both sides are alike
	Took        time.Duration
}

// perSide is how many connections of a side a comparison uses.
const perSide = 2

// content is a table's rows of one tenant, whatever their order.
type content struct {
	rows int64
	hash string
}

// LoadTables reads the catalogues for Verify, so that a freeze does not have to.
func (p *Pair) LoadTables(ctx context.Context) ([]Table, error) {
	tables, err := ReadTables(ctx, p.OnPrem.Pool, p.Dataset)
	if err != nil {
		return nil, fmt.Errorf("on premises: %w", err)
	}
	tables = Of(tables, Tenants)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tables = tables
	return tables, nil
}

// Verify compares a tenant's rows in every table, both sides at once, by count and by a hash that does not depend on the order. It
// means something while nothing writes them.
func (p *Pair) Verify(ctx context.Context, tenant int64) (Verification, error) {
	begun := time.Now()
	id, err := TenantID(tenant)
	if err != nil {
		return Verification{}, err
	}
	p.mu.Lock()
	tables := p.tables
	p.mu.Unlock()
	if tables == nil {
		if tables, err = p.LoadTables(ctx); err != nil {
			return Verification{}, err
		}
	}
	found := [2][]content{make([]content, len(tables)), make([]content, len(tables))}
	g, gctx := errgroup.WithContext(ctx)
	for side, s := range p.Both() {
		for w := range perSide {
			g.Go(func() error { return s.contents(gctx, tables, found[side], id, w) })
		}
	}
	if err := g.Wait(); err != nil {
		return Verification{}, fmt.Errorf("compare tenant %d: %w", tenant, err)
	}
	v := Verification{Tables: len(tables), Took: time.Since(begun)}
	for i, t := range tables {
		onprem, aws := found[0][i], found[1][i]
		v.Rows += onprem.rows
		switch {
		case onprem.rows != aws.rows:
			v.Differences = append(v.Differences, fmt.Sprintf("table %s: %d rows on premises, %d on AWS", t, onprem.rows, aws.rows))
		case onprem.hash != aws.hash:
			v.Differences = append(v.Differences, fmt.Sprintf("table %s: %d rows on each side, with different content", t, onprem.rows))
		}
	}
	return v, nil
}

// contents reads every perSide-th table, from the first-th on.
func (s *Server) contents(ctx context.Context, tables []Table, into []content, tenant int32, first int) error {
	c, err := s.Pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Where(), err)
	}
	defer c.Release()
	for i := first; i < len(tables); i += perSide {
		t := tables[i]
		if err := c.QueryRow(ctx, t.contentQuery(), tenant).Scan(&into[i].rows, &into[i].hash); err != nil {
			return fmt.Errorf("table %s %s: %w", t, s.Where(), err)
		}
	}
	return nil
}

// contentQuery sums a hash of each row's text. Columns are named, in alphabetical order: the sides may have them in different places.
// The settings that decide how values print are pinned on the connection.
func (t Table) contentQuery() string {
	cols := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		cols[i] = "x." + pgx.Identifier{c}.Sanitize()
	}
	return fmt.Sprintf(`SELECT count(*), coalesce(sum(hashtextextended(ROW(%s)::text COLLATE "C", 0)), 0)::text FROM %s x WHERE x.%s = $1`,
		strings.Join(cols, ", "), t.Ident(), pgx.Identifier{t.Column}.Sanitize())
}
