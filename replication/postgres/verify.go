package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
)

// Verification is what a comparison of a tenant's rows found.
type Verification struct {
	Rows        int64
	Tables      int
	Differences []string // by table; none: both sides are alike
	Sum         string   // SHA-256, hex, over the tables in order with count and hash of their rows on premises
	Took        time.Duration
}

// content is a table's rows of one tenant, whatever their order.
type content struct {
	rows int64
	hash string
}

// LoadTables reads the catalogues for comparisons, so that a freeze does not have to.
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

// comparedTables are the tables as last read.
func (p *Pair) comparedTables(ctx context.Context) ([]Table, error) {
	p.mu.Lock()
	tables := p.tables
	p.mu.Unlock()
	if tables != nil {
		return tables, nil
	}
	return p.LoadTables(ctx)
}

// Verify compares a tenant's rows in every table, both sides at once, by count and by a hash that
// does not depend on the order. It means something while nothing writes them.
func (p *Pair) Verify(ctx context.Context, tenant int64) (Verification, error) {
	begun := time.Now()
	id, err := TenantID(tenant)
	if err != nil {
		return Verification{}, err
	}
	tables, err := p.comparedTables(ctx)
	if err != nil {
		return Verification{}, err
	}
	var onprem, aws []content
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { onprem, err = p.OnPrem.contents(gctx, p.OnPrem.Pool, tables, id); return err })
	g.Go(func() (err error) { aws, err = p.AWS.contents(gctx, p.AWS.Pool, tables, id); return err })
	if err := g.Wait(); err != nil {
		return Verification{}, fmt.Errorf("compare tenant %d: %w", tenant, err)
	}
	v := compare(tables, map[migration.Side][]content{migration.OnPrem: onprem, migration.AWS: aws})
	v.Took = time.Since(begun)
	return v, nil
}

// compare holds the sides' contents against each other.
func compare(tables []Table, found map[migration.Side][]content) Verification {
	v, sum := Verification{Tables: len(tables)}, sha256.New()
	for i, t := range tables {
		onprem, aws := found[migration.OnPrem][i], found[migration.AWS][i]
		v.Rows += onprem.rows
		_, _ = fmt.Fprintf(sum, "%s %d %s\n", t, onprem.rows, onprem.hash)
		switch {
		case onprem.rows != aws.rows:
			v.Differences = append(v.Differences, fmt.Sprintf("table %s: %d rows on premises, %d on AWS", t, onprem.rows, aws.rows))
		case onprem.hash != aws.hash:
			v.Differences = append(v.Differences, fmt.Sprintf("table %s: %d rows on each side, with different content", t, onprem.rows))
		}
	}
	v.Sum = hex.EncodeToString(sum.Sum(nil))
	return v
}

// contents reads a tenant's rows of all tables in one round trip.
func (s *Server) contents(ctx context.Context, q batcher, tables []Table, tenant int32) ([]content, error) {
	out := make([]content, len(tables))
	b := &pgx.Batch{}
	for i, t := range tables {
		b.Queue(t.contentQuery(), tenant).QueryRow(func(r pgx.Row) error {
			if err := r.Scan(&out[i].rows, &out[i].hash); err != nil {
				return fmt.Errorf("table %s: %w", t, err)
			}
			return nil
		})
	}
	if err := q.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("read the rows of tenant %d %s: %w", tenant, s.Where(), err)
	}
	return out, nil
}

// batcher is a connection or a pool.
type batcher interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// contentQuery sums a hash of each row's text. Columns are named, in alphabetical order: the sides
// may have them in different places. The settings that decide how values print are pinned on the
// connection.
func (t Table) contentQuery() string {
	cols := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		cols[i] = "x." + pgx.Identifier{c}.Sanitize()
	}
	return fmt.Sprintf(`SELECT count(*), coalesce(sum(hashtextextended(ROW(%s)::text COLLATE "C", 0)), 0)::text FROM %s x WHERE x.%s = $1`,
		strings.Join(cols, ", "), t.Ident(), pgx.Identifier{t.Column}.Sanitize())
}
