package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
)

// Home says where a tenant is homed, as both databases say it at about this moment.
func (p *Pair) Home(ctx context.Context, tenant int64) (migration.HomeRecord, error) {
	r, err := p.Homes(ctx, []int64{tenant})
	return r[tenant], err
}

// Homes is Home of many tenants in one question to each side. A database on premises that Drover
// has not touched takes every tenant's writes; one on AWS that does not know a tenant takes none.
// Where a server is not the one that Drover knew, every record says so
// (migration.HomeRecord.Doubt).
//
// The sides are read at about the same moment, not at one. A tenant whose Move ends in between
// looks open on both, so such tenants are read again: the fences have moved on, or both sides
// really are open.
func (p *Pair) Homes(ctx context.Context, tenants []int64) (map[int64]migration.HomeRecord, error) {
	ids, err := TenantIDs(tenants)
	if err != nil {
		return nil, err
	}
	out, err := p.homesOnce(ctx, tenants, ids)
	for range homesAgain {
		var open []int64
		for _, t := range tenants {
			if r := out[t]; r.OnPrem.State != migration.Sealed && r.AWS.State != migration.Sealed {
				open = append(open, t)
			}
		}
		if err != nil || len(open) == 0 {
			return out, err
		}
		if ids, err = TenantIDs(open); err != nil {
			return nil, err
		}
		again, aerr := p.homesOnce(ctx, open, ids)
		if aerr != nil {
			return nil, aerr
		}
		same := true
		for t, r := range again {
			same = same && r.OnPrem.Token == out[t].OnPrem.Token && r.AWS.Token == out[t].AWS.Token
			out[t] = r
		}
		if same { // the second look began after the first had seen both open
			return out, nil
		}
	}
	return out, nil
}

// Known are those of some tenants that have a fence on premises: an amendment may have brought
// others into the plan that nobody has prepared yet. Where nothing is prepared it is everybody.
func (p *Pair) Known(ctx context.Context, tenants []int64) (known []int64, err error) {
	version, _, err := Installed(ctx, p.OnPrem.Pool)
	if err != nil || version == 0 {
		return tenants, err
	}
	err = p.OnPrem.Pool.QueryRow(ctx, `SELECT coalesce(array_agg(tenant::bigint ORDER BY tenant), '{}') FROM drover.fence
		WHERE tenant = ANY ($1::bigint[])`, tenants).Scan(&known)
	return known, err
}

// homesAgain is how often tenants that look open on both sides are read again while they still
// move.
const homesAgain = 5

func (p *Pair) homesOnce(ctx context.Context, tenants []int64, ids []int32) (map[int64]migration.HomeRecord, error) {
	var onprem, aws records
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { onprem, err = p.OnPrem.records(gctx, ids); return err })
	g.Go(func() (err error) { aws, err = p.AWS.records(gctx, ids); return err })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	doubt := doubtOf(onprem, aws)
	out := make(map[int64]migration.HomeRecord, len(tenants))
	for _, t := range tenants {
		r := migration.HomeRecord{OnPrem: migration.SideRecord{State: migration.Open}, AWS: migration.SideRecord{State: migration.Sealed},
			Doubt: doubt}
		if a, ok := aws.fences[t]; ok {
			r.AWS = a
		}
		o, ok := onprem.fences[t]
		switch {
		case ok:
			r.OnPrem = o
		case doubt != "": // what it has forgotten says nothing
		case onprem.touched, r.AWS.State != migration.Sealed:
			return nil, fmt.Errorf("home of tenant %d on premises: %w", t, ErrNotPrepared)
		}
		out[t] = r
	}
	return out, nil
}

// doubtOf judges both servers. One that has no schema of Drover's, while its peer remembers it, has
// forgotten everything.
func doubtOf(onprem, aws records) string {
	for _, x := range []struct {
		side      migration.Side
		own, peer records
	}{{migration.OnPrem, onprem, aws}, {migration.AWS, aws, onprem}} {
		if _, met := x.peer.witness.rows[x.side]; met && !x.own.touched {
			return fmt.Sprintf("the database %s has forgotten Drover's schema: it was restored from a backup, or replaced; "+
				"look at it with drover doctor", where(x.side))
		}
	}
	if !onprem.touched || !aws.touched {
		return ""
	}
	return doubts([]ServerState{judge(migration.OnPrem, onprem.witness, aws.witness), judge(migration.AWS, aws.witness, onprem.witness)})
}

// records are one side's fences, and what it says of the servers.
type records struct {
	fences  map[int64]migration.SideRecord
	witness witness
	touched bool // Drover's schema is there
}

func (s *Server) records(ctx context.Context, ids []int32) (records, error) {
	b := &pgx.Batch{}
	b.Queue(`SELECT f.tenant, f.state, f.token, coalesce(f.owner::text, ''), coalesce(f.lease_until <= clock_timestamp(), false),
		f.sealed_token,
		coalesce(n.stay, 0), coalesce(n.n, 0), coalesce(n.words, '')
		FROM drover.fence f LEFT JOIN drover.note n USING (tenant) WHERE f.tenant = ANY ($1)`, ids)
	b.Queue(askServers)
	b.Queue(askThisServer)
	batch := s.Pool.SendBatch(ctx, b)
	out, err := readRecords(batch)
	if cerr := batch.Close(); err == nil {
		err = cerr
	}
	var pg *pgconn.PgError
	// no schema, no table
	if errors.As(err, &pg) && (pg.Code == "3F000" || pg.Code == "42P01") && !out.touched && !strings.Contains(pg.Message, "drover.note") {
		return records{}, nil
	}
	if err != nil {
		return out, fmt.Errorf("read home records %s: %w", s.Where(), err)
	}
	return out, nil
}

func readRecords(b pgx.BatchResults) (records, error) {
	out := records{fences: map[int64]migration.SideRecord{}}
	rows, err := b.Query()
	if err != nil {
		return out, err
	}
	var t int64
	var r migration.SideRecord
	_, err = pgx.ForEachRow(rows, []any{&t, &r.State, &r.Token, &r.Owner, &r.Expired, &r.SealedToken, &r.Note.Stay, &r.Note.N,
		&r.Note.Words}, func() error { out.fences[t] = r; return nil })
	if err != nil {
		return out, err
	}
	out.touched = true
	out.witness, err = readWitness(b)
	return out, err
}
