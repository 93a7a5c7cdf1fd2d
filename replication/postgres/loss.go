package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
)

// ErrAnswers says that a side is not lost, so that nobody has to go on without it.
var ErrAnswers = errors.New("the other side is not lost: look at it with drover doctor, agree to its server, and have it repaired")

// leap is by how much a side that goes on alone raises the token. What the lost side has stored
// nobody can read: each try takes two tokens, and this is as many tries in a row as nobody makes.
const leap = 1000

// heardLately is how long ago a server may have spoken that is believed to be gone: it says
// something every ten seconds (wal_receiver_status_interval).
const heardLately = 30 * time.Second

// AcceptLoss has a tenant go on at the side that is left, without what the other had not sent, by
// somebody's name and with a reason. The try's owner is who asks: asked again by the same, it
// answers the same. It is ErrAnswers where the other side is still there, as far as this worker or
// the server that is left can see.
//
// It opens without the mark of a fence on the other side, whose guard nobody can ask. Should that
// side come back, it opened earlier: it is closed as stale, and what it still sends of the tenant
// is not taken here (see drover.shield).
func (p *Pair) AcceptLoss(ctx context.Context, tenant int64, owner, by, why string) (migration.Loss, error) {
	lost, err := p.LostSide(ctx)
	if err != nil {
		return migration.Loss{}, err
	}
	s := p.Side(lost.Other())
	id, err := TenantID(tenant)
	if err != nil {
		return migration.Loss{}, err
	}
	token, done, err := s.lossToken(ctx, id, owner)
	if err != nil {
		return migration.Loss{}, err
	}
	if !done {
		if err := p.shield(ctx, s); err != nil {
			return migration.Loss{}, err
		}
		heard, newest, err := p.lastOf(ctx, lost, id)
		if err != nil {
			return migration.Loss{}, err
		}
		var word migration.Word
		err = Patiently(ctx, func() error {
			return s.Pool.QueryRow(ctx, `SELECT drover.accept_loss($1, $2, $3, $4, $5, $6, $7, $8)`, id, token, owner, string(lost), by, why,
				heard, newest).Scan(&word)
		})
		switch {
		case IsCode(err, "DR002"):
			err = ErrNotPrepared
		case IsCode(err, "DR006"):
			err = ErrFinal
		case err == nil && word != migration.WordOpen:
			err = fmt.Errorf("it answers %q: a newer try owns the tenant, ask again", word)
		}
		if err != nil {
			return migration.Loss{}, fmt.Errorf("open tenant %d %s without the other side: %w", tenant, s.Where(), err)
		}
	}
	r, err := s.records(ctx, []int32{id})
	if err != nil {
		return migration.Loss{}, err
	}
	l := r.losses[tenant]
	if l == nil {
		return migration.Loss{}, fmt.Errorf("tenant %d is not open %s by this: a newer try owns it, ask again", tenant, s.Where())
	}
	return *l, nil
}

// LostSide is the side that nobody reaches, or on which a server stands that has nothing of
// Drover's while its peer remembers it: neither can say who is at home there. It is ErrAnswers
// where there is none.
func (p *Pair) LostSide(ctx context.Context) (migration.Side, error) {
	if p.Lost == "" {
		return p.forgetful(ctx)
	}
	s := p.Side(p.Lost.Other())
	switch silence := p.again(ctx); { // a pair may be kept for a while
	case silence == nil:
		return "", fmt.Errorf("%w; it answers again", ErrAnswers)
	case !nobodyThere(silence):
		return "", fmt.Errorf("%w; it cannot be asked for another reason: %w", ErrAnswers, silence)
	}
	var reads, written bool
	err := s.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_subscription WHERE subname = $1 AND pid IS NOT NULL
		    AND received_lsn IS NOT NULL AND last_msg_receipt_time > now() - $3::interval),
		EXISTS (SELECT FROM pg_replication_slots s LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid
		  WHERE s.slot_name = $2 AND s.active AND coalesce(r.reply_time, now()) > now() - $3::interval)`,
		p.Names.Outgoing(p.Lost), p.Names.Outgoing(s.Side), heardLately).Scan(&reads, &written)
	if err != nil {
		return "", fmt.Errorf("does the server %s hear of the one %s: %w", s.Where(), where(p.Lost), err)
	}
	if reads || written {
		return "", fmt.Errorf("%w; this worker does not reach it (%w), and the server %s does, within the last %s", ErrAnswers, p.Silence,
			s.Where(), heardLately)
	}
	return p.Lost, nil
}

// forgetful is the side whose server has nothing of Drover's, while its peer remembers it.
func (p *Pair) forgetful(ctx context.Context) (migration.Side, error) {
	for _, s := range p.Both() {
		version, _, err := Installed(ctx, s.Pool)
		if err != nil {
			return "", err
		}
		if version > 0 {
			continue
		}
		peer := p.Side(s.Side.Other())
		if version, _, err = Installed(ctx, peer.Pool); err != nil {
			return "", err
		}
		if version == 0 {
			return "", ErrNotPrepared
		}
		w, err := peer.witness(ctx)
		if err != nil {
			return "", err
		}
		if _, met := w.rows[s.Side]; met {
			return s.Side, nil
		}
	}
	return "", fmt.Errorf("%w; both servers answer", ErrAnswers)
}

// lossToken is the token under which a side goes on alone; done: this owner has done it.
func (s *Server) lossToken(ctx context.Context, tenant int32, owner string) (token int64, done bool, err error) {
	err = s.Pool.QueryRow(ctx, `SELECT greatest(f.token, f.sealed_token, coalesce((SELECT max(token) FROM drover.beat WHERE tenant = $1), 0)),
		coalesce(f.owner::text, '') = $2 AND EXISTS (SELECT FROM drover.loss l WHERE l.tenant = f.tenant AND l.token = f.token)
		FROM drover.fence f WHERE f.tenant = $1`, tenant, owner).Scan(&token, &done)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = ErrNotPrepared
	case err == nil && !done:
		token += leap
	}
	if err != nil {
		return 0, false, fmt.Errorf("read the fence of tenant %d %s: %w", tenant, s.Where(), err)
	}
	return token, done, nil
}

// shield keeps what a lost side may still send away from those who go on without it. Each table
// needs a moment without writers: it waits briefly and tries again.
func (p *Pair) shield(ctx context.Context, s *Server) error {
	tables, err := ReadTables(ctx, s.Pool, p.Dataset)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Where(), err)
	}
	for _, t := range Of(tables, Tenants) {
		var shielded bool
		if err := s.Pool.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM (SELECT $1::oid AS r UNION SELECT relid FROM
			pg_partition_tree($1::oid::regclass)) x WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = x.r
			AND g.tgname = 'zzzz_drover_shield' AND g.tgenabled = 'R'))`, t.OID).Scan(&shielded); err != nil {
			return fmt.Errorf("read triggers of %s %s: %w", t, s.Where(), err)
		}
		if shielded {
			continue
		}
		err := Patiently(ctx, func() error {
			return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '400ms'`); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, `SELECT drover.shield($1::oid::regclass, $2)`, t.OID, t.Column)
				return err
			})
		})
		if err != nil {
			return fmt.Errorf("shield table %s %s: %w", t, s.Where(), err)
		}
	}
	return nil
}

// lastOf says up to when everything that was written on the lost side is here, by its clock, and
// when the newest of the tenant's rows here was committed, where the server knows that.
func (p *Pair) lastOf(ctx context.Context, lost migration.Side, tenant int32) (heard, newest *time.Time, err error) {
	s := p.Side(lost.Other())
	var known bool
	err = s.Pool.QueryRow(ctx, `SELECT (SELECT max(at) FROM drover.beat WHERE pub = $1), current_setting('track_commit_timestamp')::bool`,
		p.Names.Outgoing(lost)).Scan(&heard, &known)
	if err != nil {
		return nil, nil, fmt.Errorf("read the last beat from %s: %w", where(lost), err)
	}
	if !known {
		return heard, nil, nil
	}
	tables, err := ReadTables(ctx, s.Pool, p.Dataset)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", s.Where(), err)
	}
	err = s.Unhurried(ctx, func(c *pgx.Conn) error {
		for _, t := range Of(tables, Tenants) {
			var at *time.Time
			if err := c.QueryRow(ctx, fmt.Sprintf(`SELECT max(pg_xact_commit_timestamp(x.xmin)) FROM %s x WHERE x.%s = $1`, t.Ident(),
				pgx.Identifier{t.Column}.Sanitize()), tenant).Scan(&at); err != nil {
				return fmt.Errorf("newest row in %s: %w", t, err)
			}
			if at != nil && (newest == nil || at.After(*newest)) {
				newest = at
			}
		}
		return nil
	})
	if err == nil && newest == nil {
		newest = heard // the tenant has no row that is young enough to be known
	}
	return heard, newest, err
}

// Heard is the last beat that came from the side that does not answer, by that side's clock. Zero:
// none ever did.
func (p *Pair) Heard(ctx context.Context) (time.Time, error) {
	var at *time.Time
	s := p.Side(p.Lost.Other())
	err := s.Pool.QueryRow(ctx, `SELECT max(at) FROM drover.beat WHERE pub = $1`, p.Names.Outgoing(p.Lost)).Scan(&at)
	switch {
	case IsCode(err, "42P01") || IsCode(err, "3F000"):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("read the last beat from %s: %w", where(p.Lost), err)
	case at == nil:
		return time.Time{}, nil
	}
	return *at, nil
}

// Losses are the sides that somebody gave up, of all tenants of the dataset that are at home on the
// other one.
func (p *Pair) Losses(ctx context.Context) (out []TenantLoss, err error) {
	for _, s := range p.Both() {
		if s.Side == p.Lost {
			continue
		}
		rows, err := s.Pool.Query(ctx, sqlLosses+` JOIN drover.direction d ON d.tenant = l.tenant AND d.pub = $1 WHERE l.token > f.sealed_token
			ORDER BY l.tenant, l.token DESC`, p.Names.Outgoing(s.Side))
		if err == nil {
			var list []TenantLoss
			if list, err = pgx.CollectRows(rows, readLoss); err == nil {
				out = append(out, list...)
				continue
			}
		}
		if IsCode(err, "42P01") || IsCode(err, "3F000") {
			continue // nothing of Drover's, or a version before losses
		}
		return nil, fmt.Errorf("read which sides were given up %s: %w", s.Where(), err)
	}
	return out, nil
}

// TenantLoss is a tenant that goes on without a side.
type TenantLoss struct {
	Tenant int64
	migration.Loss
}

const sqlLosses = `SELECT DISTINCT ON (l.tenant) l.tenant, l.lost, l.token, l.by, l.why, l.at, l.heard
	FROM drover.loss l JOIN drover.fence f USING (tenant)`

func readLoss(row pgx.CollectableRow) (l TenantLoss, err error) {
	var heard *time.Time
	err = row.Scan(&l.Tenant, &l.Side, &l.Token, &l.By, &l.Why, &l.At, &heard)
	if heard != nil {
		l.Heard = *heard
	}
	return l, err
}
