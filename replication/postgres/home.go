package postgres

import (
	"cmp"
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
// (migration.HomeRecord.Doubt). Who goes on without a side (AcceptLoss) has a record also where
// that side is in doubt, or does not answer.
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

// Known are those of some tenants that have a fence on premises, or on AWS where premises do not
// answer: an amendment may have brought others into the plan that nobody has prepared yet. Where
// nothing is prepared it is everybody.
func (p *Pair) Known(ctx context.Context, tenants []int64) (known []int64, err error) {
	at := p.OnPrem
	if p.Lost == migration.OnPrem {
		at = p.AWS
	}
	version, _, err := Installed(ctx, at.Pool)
	if err != nil || version == 0 {
		return tenants, err
	}
	err = at.Pool.QueryRow(ctx, `SELECT coalesce(array_agg(tenant::bigint ORDER BY tenant), '{}') FROM drover.fence
		WHERE tenant = ANY ($1::bigint[])`, tenants).Scan(&known)
	return known, err
}

// homesAgain is how often tenants that look open on both sides are read again while they still
// move.
const homesAgain = 5

// alone is the record of who goes on without a side: that counts as closed.
func alone(l *migration.Loss, left migration.SideRecord) migration.HomeRecord {
	gone := migration.SideRecord{State: migration.Sealed, SealedToken: l.Token}
	if l.Side == migration.AWS {
		return migration.HomeRecord{OnPrem: left, AWS: gone, Loss: l}
	}
	return migration.HomeRecord{OnPrem: gone, AWS: left, Loss: l}
}

// homesAlone is Homes where a side does not answer: of those who go on without it.
func (p *Pair) homesAlone(ctx context.Context, tenants []int64, ids []int32) (map[int64]migration.HomeRecord, error) {
	r, err := p.Side(p.Lost.Other()).records(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[int64]migration.HomeRecord, len(tenants))
	for _, t := range tenants {
		l := r.losses[t]
		if l == nil || l.Side != p.Lost {
			return nil, fmt.Errorf("home of tenant %d: the database %s does not answer: %w", t, where(p.Lost), p.Silence)
		}
		out[t] = alone(l, r.fences[t])
	}
	return out, nil
}

func (p *Pair) homesOnce(ctx context.Context, tenants []int64, ids []int32) (map[int64]migration.HomeRecord, error) {
	if p.Lost != "" {
		return p.homesAlone(ctx, tenants, ids)
	}
	var onprem, aws records
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { onprem, err = p.OnPrem.records(gctx, ids); return err })
	g.Go(func() (err error) { aws, err = p.AWS.records(gctx, ids); return err })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	doubt, doubted := doubtOf(onprem, aws)
	out := make(map[int64]migration.HomeRecord, len(tenants))
	for _, t := range tenants {
		loss := cmp.Or(aws.losses[t], onprem.losses[t])
		if loss != nil && doubted == loss.Side {
			left := onprem
			if loss.Side == migration.OnPrem {
				left = aws
			}
			out[t] = alone(loss, left.fences[t])
			continue
		}
		r := migration.HomeRecord{OnPrem: migration.SideRecord{State: migration.Open}, AWS: migration.SideRecord{State: migration.Sealed},
			Doubt: doubt, Loss: loss}
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
// forgotten everything. side is the one in doubt; "": none is, or both are.
func doubtOf(onprem, aws records) (words string, side migration.Side) {
	for _, x := range []struct {
		side      migration.Side
		own, peer records
	}{{migration.OnPrem, onprem, aws}, {migration.AWS, aws, onprem}} {
		if _, met := x.peer.witness.rows[x.side]; met && !x.own.touched {
			return fmt.Sprintf("the database %s has forgotten Drover's schema: it was restored from a backup, or replaced; "+
				"look at it with drover doctor", where(x.side)), x.side
		}
	}
	if !onprem.touched || !aws.touched {
		return "", ""
	}
	states := []ServerState{judge(migration.OnPrem, onprem.witness, aws.witness), judge(migration.AWS, aws.witness, onprem.witness)}
	for i, s := range states {
		if s.Doubt != "" && states[1-i].Doubt == "" {
			side = s.Side
		}
	}
	return doubts(states), side
}

// records are one side's fences, and what it says of the servers.
type records struct {
	fences  map[int64]migration.SideRecord
	losses  map[int64]*migration.Loss // by which a tenant is at home here
	witness witness
	touched bool // Drover's schema is there
}

func (s *Server) records(ctx context.Context, ids []int32) (records, error) {
	out, err := s.ask(ctx, ids, true)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P01" && strings.Contains(pg.Message, "drover.loss") { // functions of before there were losses
		out, err = s.ask(ctx, ids, false)
	}
	// no schema, no table
	if errors.As(err, &pg) && (pg.Code == "3F000" || pg.Code == "42P01") && !out.touched && !strings.Contains(pg.Message, "drover.note") {
		return records{}, nil
	}
	if err != nil {
		return out, fmt.Errorf("read home records %s: %w", s.Where(), err)
	}
	return out, nil
}

func (s *Server) ask(ctx context.Context, ids []int32, losses bool) (records, error) {
	b := &pgx.Batch{}
	b.Queue(`SELECT f.tenant, f.state, f.token, coalesce(f.owner::text, ''), coalesce(f.lease_until <= clock_timestamp(), false),
		f.sealed_token,
		coalesce(n.stay, 0), coalesce(n.n, 0), coalesce(n.words, '')
		FROM drover.fence f LEFT JOIN drover.note n USING (tenant) WHERE f.tenant = ANY ($1)`, ids)
	b.Queue(askServers)
	b.Queue(askThisServer)
	if losses {
		b.Queue(sqlLosses+` WHERE l.tenant = ANY ($1) AND l.token > f.sealed_token ORDER BY l.tenant, l.token DESC`, ids)
	}
	batch := s.Pool.SendBatch(ctx, b)
	out, err := readRecords(batch, losses)
	if cerr := batch.Close(); err == nil {
		err = cerr
	}
	return out, err
}

func readRecords(b pgx.BatchResults, withLosses bool) (records, error) {
	out := records{fences: map[int64]migration.SideRecord{}, losses: map[int64]*migration.Loss{}}
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
	if out.witness, err = readWitness(b); err != nil || !withLosses {
		return out, err
	}
	rows, err = b.Query()
	if err != nil {
		return out, err
	}
	losses, err := pgx.CollectRows(rows, readLoss)
	for _, l := range losses {
		out.losses[l.Tenant] = &l.Loss
	}
	return out, err
}
