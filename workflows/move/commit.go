package move

import (
	"errors"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/home"
	"github.com/drover-migration/drover/workflows/work"
)

// commit is the Move of a customer without a database, from its check to its commit point. Both
// sides may serve it at any moment, so that nothing is fenced. It begins on AWS with the first of
// the plan's weights; its Customer raises that, with a verdict at each.
func (m *move) commit(ctx workflow.Context, machines []health.Machines) error {
	c := work.Machines.In(ctx, "ask what serves "+m.Slice.Customer.ID+" on "+string(m.To))
	var found []migration.Finding
	req := health.CheckRequest{DestinationRequest: health.DestinationRequest{Plan: m.Spec.Plan, Slice: m.Slice, Side: m.To},
		Machines: machines}
	if err := workflow.ExecuteActivity(c, work.Health.CheckDestination, req).Get(c, &found); err != nil {
		return err
	}
	if err := work.Refused(found); err != nil {
		return err
	}
	if err := m.call(ctx, migration.HookBeforeOpen); err != nil {
		return err
	}
	m.step(ctx, migration.StepOpening, migration.WaitNothing)
	ctx, _ = workflow.NewDisconnectedContext(ctx) // from here on a cancel is refused
	weight := 0
	if m.To == migration.AWS {
		weight = m.Slice.Policy.NextWeight(0)
	}
	switch rec, err := m.try.Commit(ctx, weight, m.Input.Note); {
	case err == nil:
		m.opened(ctx, rec)
		return nil
	case errors.Is(err, home.ErrSuperseded):
		return err
	default:
		return doubt{err}
	}
}

func (m *move) opened(ctx workflow.Context, rec migration.HomeRecord) {
	m.result.Opened, m.result.Weight = workflow.Now(ctx), rec.Weight
}

// settle answers a doubt by writing, under the token after this Move's, and says whether the
// destination was found open.
func (m *move) settle(ctx workflow.Context) (opened bool, err error) {
	next := m.try.Under(m.try.Next())
	if !m.Slice.Stateless() {
		return next.Settle(ctx, m.try.Try)
	}
	rec, err := next.ClaimRecord(ctx)
	if err != nil {
		return false, err
	}
	m.try = next // the record has its token: what goes on in it goes on under that
	if rec.Home() != m.To {
		return false, nil
	}
	m.opened(ctx, rec)
	return true, nil
}
