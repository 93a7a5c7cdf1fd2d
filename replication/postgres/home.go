package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
)

// Home says where a tenant is homed, as both databases say it at about this moment.
func (p *Pair) Home(ctx context.Context, tenant int64) (migration.HomeRecord, error) {
	r, err := p.Homes(ctx, []int64{tenant})
	return r[tenant], err
}

// Homes is Home of many tenants in one question to each side. A database on premises that Drover has not touched takes every
// tenant's writes; one on AWS that does not know a tenant takes none.
func (p *Pair) Homes(ctx context.Context, tenants []int64) (map[int64]migration.HomeRecord, error) {
	ids, err := tenantIDs(tenants)
	if err != nil {
		return nil, err
	}
	var onprem, aws map[int64]migration.SideRecord
	var touched bool
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { onprem, touched, err = p.OnPrem.records(gctx, ids); return err })
	g.Go(func() (err error) { aws, _, err = p.AWS.records(gctx, ids); return err })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := make(map[int64]migration.HomeRecord, len(tenants))
	for _, t := range tenants {
		r := migration.HomeRecord{OnPrem: migration.SideRecord{State: migration.Open}, AWS: migration.SideRecord{State: migration.Sealed}}
		if a, ok := aws[t]; ok {
			r.AWS = a
		}
		o, ok := onprem[t]
		switch {
		case ok:
			r.OnPrem = o
		case touched, r.AWS.State != migration.Sealed:
			return nil, fmt.Errorf("home of tenant %d on premises: %w", t, ErrNotPrepared)
		}
		out[t] = r
	}
	return out, nil
}

// records reads one side's fences. touched is false where Drover's schema is not there at all.
func (s *Server) records(ctx context.Context, ids []int32) (out map[int64]migration.SideRecord, touched bool, err error) {
	rows, err := s.Pool.Query(ctx, `SELECT tenant, state, token, coalesce(owner::text, ''), coalesce(lease_until <= clock_timestamp(), false), sealed_token
		FROM drover.fence WHERE tenant = ANY ($1)`, ids)
	if err == nil {
		defer rows.Close()
		out = map[int64]migration.SideRecord{}
		for rows.Next() {
			var t int64
			var r migration.SideRecord
			if err := rows.Scan(&t, &r.State, &r.Token, &r.Owner, &r.Expired, &r.SealedToken); err != nil {
				return nil, true, err
			}
			out[t] = r
		}
		err = rows.Err()
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "3F000" || pg.Code == "42P01") { // no schema, no table
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read home records %s: %w", s.where(), err)
	}
	return out, true, nil
}
