package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/migration"
)

// protocolCells are messages of a Move that no worker sends in this order: those of a zombie, or of
// two tries that were given one token. The customer is at home on AWS, where nobody moves it.
func protocolCells() []cell {
	return []cell{
		{name: "protocol/fence/two tries of one token", from: migration.AWS, aside: true, play: sameToken},
		{name: "protocol/seal/past the lease", from: migration.AWS, aside: true, play: sealedLate},
		{name: "protocol/open/after a later try went back", from: migration.AWS, aside: true, play: openedLate},
		{name: "protocol/open/before the mark has come", from: migration.AWS, aside: true, alone: true, play: unmarked},
		{name: "protocol/seal/two at once", from: migration.AWS, aside: true, alone: true, play: twoSeals},
	}
}

// mover speaks for a try on both servers.
type mover struct {
	p      *play
	tenant int
	token  int64
	owner  string
}

// newMover takes a token above all that the servers have stored.
func (p *play) newMover(c lab.Customer) (mover, error) {
	m := mover{p: p, tenant: c.Tenant, owner: uuid.NewString()}
	for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
		conn, err := pgx.Connect(p.ctx, p.DSN(side))
		if err != nil {
			return m, err
		}
		var token int64
		err = conn.QueryRow(p.ctx, "SELECT token FROM drover.fence WHERE tenant = $1", c.Tenant).Scan(&token)
		_ = conn.Close(context.WithoutCancel(p.ctx))
		if err != nil {
			return m, err
		}
		m.token = max(m.token, token+10)
	}
	return m, nil
}

// querier is a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// steps that a mover can ask for.
const (
	sqlFence  = "SELECT drover.fence(ARRAY[$1]::int[], $2, $3, interval '30 s')"
	sqlBrief  = "SELECT drover.fence(ARRAY[$1]::int[], $2, $3, interval '1 s')"
	sqlSeal   = "SELECT drover.seal(ARRAY[$1]::int[], $2, $3)"
	sqlMarked = "SELECT drover.arrived(ARRAY[$1]::int[], $2, $3)::text"
	sqlOpen   = "SELECT drover.open(ARRAY[$1]::int[], $2, $3)"
	sqlPoison = "SELECT drover.poison(ARRAY[$1]::int[], $2, $3)"
	sqlReopen = "SELECT drover.reopen(ARRAY[$1]::int[], $2, $3)"
	sqlClaim  = "SELECT drover.claim(ARRAY[$1]::int[], $2, $3)"
)

func (m mover) on(q querier, sql string) (word string, err error) {
	err = q.QueryRow(m.p.ctx, sql, m.tenant, m.token, m.owner).Scan(&word)
	return word, err
}

// at asks a side for a step and wants one of these words.
func (m mover) at(side migration.Side, sql string, want ...string) error {
	conn, err := pgx.Connect(m.p.ctx, m.p.DSN(side))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(m.p.ctx)) }()
	word, err := m.on(conn, sql)
	if err != nil {
		return err
	}
	for _, w := range want {
		if w == word {
			return nil
		}
	}
	return fmt.Errorf("%s on %s with try %d/%.8s: %q, wanted %q", sql, side, m.token, m.owner, word, want)
}

// home ends whatever was under way and opens the customer on AWS again, as a repair does.
func (m mover) home() error {
	m.token, m.owner = m.token+1, uuid.NewString()
	if err := m.at(migration.AWS, sqlClaim, "open", "sealed"); err != nil {
		return err
	}
	if err := m.at(migration.OnPrem, sqlPoison, "poisoned"); err != nil {
		return err
	}
	return m.at(migration.AWS, sqlReopen, "open")
}

// sameToken fences under one token twice: the second try must hear that it is not the first.
func sameToken(p *play) error {
	a, err := p.newMover(p.customer)
	if err != nil {
		return err
	}
	if err := a.at(migration.AWS, sqlFence, "fenced"); err != nil {
		return err
	}
	b := a
	b.owner = uuid.NewString()
	return errors.Join(b.at(migration.AWS, sqlFence, "superseded"), b.at(migration.AWS, sqlSeal, "superseded"), a.home())
}

// sealedLate seals when the lease has run out and nobody else has come: writes since then are
// behind the mark, and would stay where they are.
func sealedLate(p *play) error {
	m, err := p.newMover(p.customer)
	if err != nil {
		return err
	}
	if err := m.at(migration.AWS, sqlBrief, "fenced"); err != nil {
		return err
	}
	sides := &sides{rig: p.rig, tenant: p.customer.Tenant}
	defer sides.close()
	over := func() bool { f, err := sides.read(p.ctx); return err == nil && f.aws }
	if !eventually(p.ctx, settleLimit, over) {
		return errors.New("a lease of 1 s does not end")
	}
	return errors.Join(m.at(migration.AWS, sqlSeal, "expired"), m.home())
}

// openedLate opens premises when the mark is there, and after a later try has taken the customer
// back: both sides would be open.
func openedLate(p *play) error {
	m, err := p.newMover(p.customer)
	if err != nil {
		return err
	}
	if err := m.at(migration.AWS, sqlFence, "fenced"); err != nil {
		return err
	}
	if err := m.at(migration.AWS, sqlSeal, "sealed"); err != nil {
		return err
	}
	marked := func() bool { return m.at(migration.OnPrem, sqlMarked, "true") == nil }
	if !eventually(p.ctx, settleLimit, marked) {
		return errors.New("the mark does not come to premises")
	}
	if err := m.home(); err != nil {
		return err
	}
	return m.at(migration.OnPrem, sqlOpen, "superseded")
}

// unmarked opens premises while nothing of AWS arrives there.
func unmarked(p *play) error {
	m, err := p.newMover(p.customer)
	if err != nil {
		return err
	}
	release := p.Doors.RDS.Hold()
	defer release()
	p.pause(time.Second) // the application writes what does not arrive
	if err := m.at(migration.AWS, sqlFence, "fenced"); err != nil {
		return err
	}
	if err := m.at(migration.AWS, sqlSeal, "sealed"); err != nil {
		return err
	}
	behind := m.at(migration.OnPrem, sqlOpen, "behind")
	release()
	return errors.Join(behind, m.home())
}

// twoSeals has two Moves rewrite the filters of one publication at once.
func twoSeals(p *play) error {
	a, err := p.newMover(p.customer)
	if err != nil {
		return err
	}
	b, err := p.newMover(p.bystander)
	if err != nil {
		return err
	}
	for _, m := range []mover{a, b} {
		if err := m.at(migration.AWS, sqlFence, "fenced"); err != nil {
			return err
		}
	}
	conn, err := pgx.Connect(p.ctx, p.DSN(migration.AWS))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(p.ctx)) }()
	tx, err := conn.Begin(p.ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(p.ctx)) }()
	if _, err := a.on(tx, sqlSeal); err != nil {
		return err
	}
	second := make(chan error, 1)
	go func() { second <- b.at(migration.AWS, sqlSeal, "sealed") }()
	p.pause(500 * time.Millisecond) // the second waits for the first, wherever it waits
	if err := tx.Commit(p.ctx); err != nil {
		return err
	}
	err = <-second
	var drift int
	if e := conn.QueryRow(p.ctx, "SELECT count(*) FROM drover.publication_drift()").Scan(&drift); e != nil {
		err = errors.Join(err, e)
	}
	if drift > 0 {
		err = errors.Join(err, fmt.Errorf("%d filters are not as their directions are", drift))
	}
	return errors.Join(err, a.home(), b.home())
}
