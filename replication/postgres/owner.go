package postgres

import (
	"context"
	"errors"
)

// ErrOtherPlan says that the database belongs to another plan. Two plans would copy the same rows
// twice, and each would turn directions that the other relies on.
var ErrOtherPlan = errors.New("a database belongs to one plan at a time: wait until that plan has ended, or end it, and submit this one " +
	"again")

// OtherOwner names the plan that the database belongs to, in words; empty if that is this plan or
// none. Directions and tables of a publication that is not this plan's are another's as well.
func (p *Pair) OtherOwner(ctx context.Context, q Querier) (other string, err error) {
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
