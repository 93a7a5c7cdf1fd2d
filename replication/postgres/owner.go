package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// ErrOtherPlan says that the database belongs to another plan. Two plans would copy the same rows twice, and each would turn
// directions that the other relies on.
var ErrOtherPlan = errors.New("a database belongs to one plan at a time: wait until that plan has ended, or end it, and submit this one again")

// claim makes the database the plan's own, or fails with ErrOtherPlan. Claims, installations and removals of one database follow
// each other: each holds the lock until its transaction ends.
func (p *Pair) claim(ctx context.Context, tx pgx.Tx) error {
	if err := lockDatabase(ctx, tx); err != nil {
		return err
	}
	other, err := p.otherOwner(ctx, tx)
	if err != nil {
		return err
	}
	if other != "" {
		return fmt.Errorf("it is replicated by %s already: %w", other, ErrOtherPlan)
	}
	_, err = tx.Exec(ctx, `INSERT INTO drover.plan (plan, dataset) VALUES ($1, $2) ON CONFLICT DO NOTHING`, p.Plan, p.Name)
	return err
}

// lockDatabase is taken by whoever installs Drover in a database, gives it to a plan, admits tenants or takes Drover away.
func lockDatabase(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(726, 0)`); err != nil {
		return err
	}
	// A session that once looked in vain for a schema goes on believing it, until it locks a table: to_regclass alone would not see what
	// the last holder made.
	_, err := tx.Exec(ctx, `SELECT FROM pg_namespace WHERE nspname = 'drover'`)
	return err
}

// otherOwner names the plan that the database belongs to, in words; empty if that is this plan or none. Directions and tables of a
// publication that is not this plan's are another's as well.
func (p *Pair) otherOwner(ctx context.Context, q querier) (other string, err error) {
	var is bool
	if err := q.QueryRow(ctx, `SELECT to_regclass('drover.plan') IS NOT NULL`).Scan(&is); err != nil || !is {
		return "", err
	}
	err = q.QueryRow(ctx, `SELECT coalesce(
		  (SELECT format('plan "%s" (dataset "%s", since %s UTC)', plan, dataset, to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'))
		     FROM drover.plan WHERE (plan, dataset) <> ($1, $2)),
		  (SELECT format('the plan whose publication is %s', min(pub))
		     FROM (SELECT pub FROM drover.direction UNION SELECT pub FROM drover.member) x WHERE pub NOT IN ($3, $4)
		     HAVING count(*) > 0),
		  '')`, p.Plan, p.Name, p.Names.Forward, p.Names.Back).Scan(&other)
	return other, err
}
