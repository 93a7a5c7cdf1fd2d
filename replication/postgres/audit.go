package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
)

// Audit holds both databases against the invariants that they alone can show, for every tenant of
// this dataset's publications: at most one side is open, at most one direction is on, and the
// publications publish what the truth says. It answers with what is broken; none: all is well. The
// sides are read a moment apart, so a Move that ends between is read again.
func (p *Pair) Audit(ctx context.Context) (broken []string, err error) {
	for range 3 {
		if broken, err = p.auditOnce(ctx); err != nil || len(broken) == 0 {
			return broken, err
		}
	}
	return broken, nil
}

// standing is one side's word on a tenant.
type standing struct {
	Tenant int64
	Open   bool
	On     bool
	Token  int64
}

func (p *Pair) auditOnce(ctx context.Context) (broken []string, err error) {
	var sides [2]map[int64]standing
	var drift [2][]string
	g, gctx := errgroup.WithContext(ctx)
	for i, s := range p.Both() {
		g.Go(func() (err error) { sides[i], err = s.standings(gctx, p.Names.Outgoing(s.Side)); return err })
		g.Go(func() (err error) { drift[i], err = s.drift(gctx); return err })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	tenants := make([]int64, 0, len(sides[0]))
	for t := range sides[0] {
		tenants = append(tenants, t)
	}
	joining, err := p.joining(ctx, sides)
	if err != nil {
		return nil, err
	}
	for t := range sides[1] {
		if _, ok := sides[0][t]; !ok && !slices.Contains(joining, t) {
			broken = append(broken, fmt.Sprintf("tenant %d: AWS knows it and premises do not", t))
		}
	}
	slices.Sort(tenants)
	for _, t := range tenants {
		o, a := sides[0][t], sides[1][t]
		if _, ok := sides[1][t]; !ok {
			broken = append(broken, fmt.Sprintf("tenant %d: premises know it and AWS does not", t))
		}
		if o.Open && a.Open {
			broken = append(broken, fmt.Sprintf("tenant %d: both sides take its writes (tokens %d and %d)", t, o.Token, a.Token))
		}
		if o.On && a.On {
			broken = append(broken, fmt.Sprintf("tenant %d: both directions replicate it", t))
		}
	}
	return append(broken, append(drift[0], drift[1]...)...), nil
}

// joining are the tenants that AWS alone knows, where they are sealed and never were at home, while
// premises keep them among those that stay: they are being carried over.
func (p *Pair) joining(ctx context.Context, sides [2]map[int64]standing) (joining []int64, err error) {
	var alone []int64
	for t, a := range sides[1] {
		if _, ok := sides[0][t]; !ok && !a.Open && !a.On && a.Token == 0 {
			alone = append(alone, t)
		}
	}
	if len(alone) == 0 {
		return nil, nil
	}
	err = p.OnPrem.Pool.QueryRow(ctx, `SELECT coalesce(array_agg(t), '{}') FROM unnest($1::bigint[]) t
		WHERE EXISTS (SELECT FROM drover.elsewhere e WHERE e.here AND t BETWEEN e.first AND e.last)`, alone).Scan(&joining)
	if err != nil {
		return nil, fmt.Errorf("audit who joins %s: %w", p.OnPrem.Where(), err)
	}
	return joining, nil
}

func (s *Server) standings(ctx context.Context, pub string) (map[int64]standing, error) {
	rows, err := s.Pool.Query(ctx, `SELECT f.tenant, f.state = 'open' OR f.state = 'fenced' AND f.lease_until <= clock_timestamp(),
		d.is_on, f.token
		FROM drover.fence f JOIN drover.direction d USING (tenant) WHERE d.pub = $1`, pub)
	if err != nil {
		return nil, fmt.Errorf("audit %s: %w", s.Where(), err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[standing])
	if err != nil {
		return nil, fmt.Errorf("audit %s: %w", s.Where(), err)
	}
	out := make(map[int64]standing, len(list))
	for _, x := range list {
		out[x.Tenant] = x
	}
	return out, nil
}

func (s *Server) drift(ctx context.Context) ([]string, error) {
	rows, err := s.Pool.Query(ctx,
		`SELECT format('publication %s %s: table %s tenant %s is published: %s', pub, $1::text, rel, tenant, published) FROM
			drover.publication_drift() LIMIT 20`, s.Where())
	if err == nil {
		var out []string
		if out, err = pgx.CollectRows(rows, pgx.RowTo[string]); err == nil {
			return out, nil
		}
	}
	return nil, fmt.Errorf("audit publications %s: %w", s.Where(), err)
}

// AwayFromHome says which tenants of this dataset are not at home on premises: open there, sealed
// on AWS.
func (p *Pair) AwayFromHome(ctx context.Context) ([]int64, error) {
	tenants, err := p.Planned(ctx)
	if err != nil || len(tenants) == 0 {
		return nil, err
	}
	homes, err := p.Homes(ctx, tenants)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(tenants, func(t int64) bool {
		r := homes[t]
		return r.Undecided() == "" && r.OnPrem.Accepts() && r.AWS.State == migration.Sealed
	}), nil
}

// Planned are the tenants of this dataset that the plan knows, in order.
func (p *Pair) Planned(ctx context.Context) (tenants []int64, err error) {
	err = p.OnPrem.Pool.QueryRow(ctx,
		`SELECT coalesce(array_agg(tenant::bigint ORDER BY tenant), '{}') FROM drover.direction WHERE pub = $1`,
		p.Names.Forward).Scan(&tenants)
	return tenants, err
}
