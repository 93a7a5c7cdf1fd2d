package setup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// ErrNotTakenIn says that a change of the schema is none that both sides can be given while rows
// are under way between them.
var ErrNotTakenIn = errors.New("the change of the schema is not taken in")

// A change holds its locks on both sides at once, and everybody who writes these tables waits: for
// the locks, for the statements, and for two commits. What does not fit is rolled back, and tried
// again.
const (
	changeLock      = "1s"
	changeStatement = "3s"
	changeLimit     = 8 * time.Second // of all of it, on both sides
	changePause     = 2 * time.Second // for the writers, before it is tried again
)

// Change is a file of DDL that both sides of a dataset are given.
type Change struct {
	Digest string // SHA-256 of the text, hex
	File   string // its name
	Text   string
	By     string
	Why    string
}

// CheckChange says what of a change is refused: by its statements, by PostgreSQL itself, which
// executes them on both sides in transactions that are rolled back, and by what they would do to
// tables whose rows are replicated. None: it can be applied, or it has been.
func CheckChange(ctx context.Context, p *postgres.Pair, c Change) ([]migration.Finding, error) {
	if found := c.refused(p.Name); len(found) > 0 {
		return found, nil
	}
	tried := errors.New("rolled back")
	err := c.patiently(ctx, p, func() error { return tried })
	switch {
	case errors.Is(err, tried) || err == nil:
		return nil, nil
	case errors.Is(err, ErrNotTakenIn):
		return []migration.Finding{c.finding(p.Name, err.Error()+c.half(ctx, p))}, nil
	}
	return nil, err
}

// ApplyChange gives both sides of a dataset a change of their schema: AWS first, then premises, in
// transactions that are open together, so that rows of the new shape are under way for milliseconds
// before the other side has it too. Then it takes in what is new. A change is made once on a side,
// by its digest: cut off between the two commits, it goes on with the other.
func ApplyChange(ctx context.Context, p *postgres.Pair, c Change, say func(string)) error {
	if found := c.refused(p.Name); len(found) > 0 {
		return fmt.Errorf("%w: %s: %s", ErrNotTakenIn, found[0].Subject, found[0].Reason)
	}
	say("giving both sides the change " + c.File)
	if err := c.patiently(ctx, p, func() error { return nil }); err != nil {
		return fmt.Errorf("change the schema of dataset %s: %w%s", p.Name, err, c.half(ctx, p))
	}
	return TakeIn(ctx, p, say)
}

// half says which side has a change that the other has not, and what is to be done then; "": both
// have it, or neither.
func (c Change) half(ctx context.Context, p *postgres.Pair) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeLimit)
	defer cancel()
	var has, lacks *postgres.Server
	for _, s := range p.Both() {
		var made bool
		if err := s.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM drover.schema_change WHERE digest = $1)`, c.Digest).Scan(&made); err != nil {
			return fmt.Sprintf("; whether the change is made %s is not known (%v): give the same file again, a side takes it once",
				s.Where(), err)
		}
		if made {
			has = s
		} else {
			lacks = s
		}
	}
	if has == nil || lacks == nil {
		return ""
	}
	return fmt.Sprintf("; the change is made %s and not %s, and nobody moves until both are alike: "+
		"take away what refuses it %[2]s and give the same file again, which goes on there alone, "+
		"or undo it %[1]s by hand and `drover schema take-in`", has.Where(), lacks.Where())
}

// CheckByHand says why what was made by hand on both sides is not taken in: it is not alike.
func CheckByHand(ctx context.Context, p *postgres.Pair) ([]migration.Finding, error) {
	var sides [2]shape
	for i, s := range p.Both() {
		err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) (err error) {
			sides[i], err = readShape(ctx, tx, p.Dataset)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Where(), err)
		}
	}
	found := append(alike(shape{}, sides[0], sides[1]), alike(shape{}, sides[1], sides[0])...)
	for _, t := range sides[0].tables {
		if t.Class == postgres.Unclassified {
			found = append(found, fmt.Sprintf("table %s is neither a customer's nor named in the plan", t))
		}
	}
	slices.Sort(found)
	var out []migration.Finding
	for _, why := range slices.Compact(found) {
		f := Change{File: "made by hand"}.finding(p.Name, why)
		f.Remedy = "make it alike on both sides, or undo it"
		out = append(out, f)
	}
	return out, nil
}

func (c Change) finding(dataset, why string) migration.Finding {
	return migration.Finding{Severity: migration.Blocker, Check: "schema", Subject: "dataset " + dataset + ", " + c.File, Reason: why,
		Remedy: "add tables, partitions, columns with one default and indexes while the plan runs; the rest waits until it has ended"}
}

// refused looks at the statements alone.
func (c Change) refused(dataset string) (out []migration.Finding) {
	all, err := Statements(c.Text)
	if err != nil {
		return []migration.Finding{c.finding(dataset, err.Error())}
	}
	if len(all) == 0 {
		return []migration.Finding{c.finding(dataset, "it has no statement")}
	}
	for _, s := range all {
		if why := s.Refused(); why != "" {
			out = append(out, c.finding(dataset, fmt.Sprintf("line %d: %s", s.Line, why)))
		}
	}
	return out
}

// patiently tries until the locks are free. end is called when both sides have the change and are
// alike; its error rolls both back.
func (c Change) patiently(ctx context.Context, p *postgres.Pair, end func() error) error {
	for {
		err := c.once(ctx, p, end)
		if err == nil || !postgres.IsCode(err, "55P03") && !postgres.IsCode(err, "40P01") {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (still waiting: %w)", ctx.Err(), err)
		case <-time.After(changePause):
		}
	}
}

// changed is one side with the change.
type changed struct {
	*postgres.Server
	before, after shape
	ran           bool // in this attempt; else it had the change
}

func (c Change) once(ctx context.Context, p *postgres.Pair, end func() error) error {
	ctx, cancel := context.WithTimeout(ctx, changeLimit)
	defer cancel()
	// The outer transaction is committed last.
	return c.on(ctx, p, []*postgres.Server{p.OnPrem, p.AWS}, nil, func(sides []changed) error {
		a, b := sides[0], sides[1]
		before := a.before
		if !a.ran {
			before = b.before
		}
		if found := alike(before, a.after, b.after); len(found) > 0 && (a.ran || b.ran) {
			return fmt.Errorf("%w: %s", ErrNotTakenIn, strings.Join(found, "; "))
		}
		return end()
	})
}

// on changes the sides that are left, each in a transaction within those before it.
func (c Change) on(ctx context.Context, p *postgres.Pair, left []*postgres.Server, done []changed, end func([]changed) error) error {
	if len(left) == 0 {
		return end(done)
	}
	at := left[0]
	return pgx.BeginFunc(ctx, at.Pool, func(tx pgx.Tx) error {
		x := changed{Server: at}
		var err error
		if x.ran, err = c.make(ctx, p, tx, &x); err != nil {
			return fmt.Errorf("%s: %w", at.Where(), err)
		}
		return c.on(ctx, p, left[1:], append(done, x), end)
	})
}

// make executes the statements on a side, unless it has the change.
func (c Change) make(ctx context.Context, p *postgres.Pair, tx pgx.Tx, x *changed) (ran bool, err error) {
	if err := lockDatabase(ctx, tx); err != nil {
		return false, err
	}
	if err := tx.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM drover.schema_change WHERE digest = $1)`, c.Digest).Scan(&ran); err != nil {
		return false, err
	}
	if x.before, err = readShape(ctx, tx, p.Dataset); err != nil || !ran {
		x.after = x.before
		return ran, err
	}
	if err := c.execute(ctx, tx); err != nil {
		return ran, err
	}
	if x.after, err = readShape(ctx, tx, p.Dataset); err != nil {
		return ran, err
	}
	if found := judge(x.before, x.after); len(found) > 0 {
		return ran, fmt.Errorf("%w: %s", ErrNotTakenIn, strings.Join(found, "; "))
	}
	for oid, t := range x.after.tables {
		if _, was := x.before.tables[oid]; !was && t.takesPart() {
			if err := guardNew(ctx, p, tx, x.Server, t); err != nil {
				return ran, err
			}
		}
	}
	_, err = tx.Exec(ctx, `INSERT INTO drover.schema_change (digest, file, by, why) VALUES ($1, $2, $3, $4)`, c.Digest, c.File, c.By, c.Why)
	return ran, err
}

// guardNew guards a table in the transaction that makes it: nobody writes it on the wrong side
// before TakeIn has it published. It is no member of a publication before it has its key.
func guardNew(ctx context.Context, p *postgres.Pair, tx pgx.Tx, at *postgres.Server, t tableShape) error {
	var full bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+t.Ident()+")").Scan(&full); err != nil {
		return err
	}
	if full {
		return fmt.Errorf("%w: new table %s has rows, which both sides would have", ErrNotTakenIn, t)
	}
	switch {
	case t.Class == postgres.Reference && at.Side == migration.AWS:
		_, err := tx.Exec(ctx, `SELECT drover.protect_reference($1::oid::regclass)`, t.OID)
		return err
	case t.Class == postgres.Tenants && len(t.judgeNew()) == 0:
		if _, err := tx.Exec(
			ctx,
			`SELECT drover.protect($1, $2::oid::regclass, $3)`,
			p.Names.Outgoing(at.Side),
			t.OID,
			t.Column,
		); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM drover.member WHERE rel = $1::oid`, t.OID)
		return err
	}
	return nil
}

// execute runs the statements. An error of PostgreSQL's own is why the change is not taken in, but
// for locks that are not free.
func (c Change) execute(ctx context.Context, tx pgx.Tx) error {
	all, err := Statements(c.Text)
	if err != nil {
		return err
	}
	limits := fmt.Sprintf(`SELECT set_config('search_path', '"$user", public', true), set_config('lock_timeout', '%s', true),
		set_config('statement_timeout', '%s', true), set_config('check_function_bodies', 'off', true)`, changeLock, changeStatement)
	if _, err := tx.Exec(ctx, limits); err != nil {
		return err
	}
	for _, s := range all {
		_, err := tx.Exec(ctx, s.Text)
		switch {
		case err == nil:
		case postgres.IsCode(err, "55P03") || postgres.IsCode(err, "40P01"):
			return fmt.Errorf("line %d: %w", s.Line, err)
		case postgres.IsCode(err, "57014") && ctx.Err() == nil:
			return fmt.Errorf(
				"%w: line %d takes longer than %s, in which nobody could write its tables",
				ErrNotTakenIn,
				s.Line,
				changeStatement,
			)
		case ctx.Err() != nil:
			return err
		default:
			return fmt.Errorf("%w: line %d: %w", ErrNotTakenIn, s.Line, err)
		}
	}
	_, err = tx.Exec(ctx, `SELECT set_config('search_path', 'pg_catalog', true)`)
	return err
}
