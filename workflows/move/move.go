// Package move is one try of moving a customer from one side to the other: check, freeze (fence,
// drain and verify, seal, open), route.
package move

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/home"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
)

// Input is one try of a Move.
type Input struct {
	Spec  migration.SpecRef       `json:"spec"`
	Slice migration.CustomerSlice `json:"slice"`
	From  migration.Side          `json:"from"`
	To    migration.Side          `json:"to"`
	Token int64                   `json:"token"`
	// Led says that the route leads to To already: what is asked of AWS keeps nobody from it.
	Led  bool            `json:"led,omitempty"`
	Note *migration.Note `json:"note,omitempty"` // to be written beside the fence at the origin, before anything is touched
}

// Move moves one customer from one side to the other, or leaves it where it is: there is no third
// way out. A cutover and a rollback are the same code. Whatever ends it otherwise (terminated,
// reset, lost), Customer repairs.
func Move(ctx workflow.Context, in Input) (migration.MoveResult, error) {
	m := newMove(ctx, in)
	return m.run(ctx)
}

type move struct {
	Input
	status.Status[migration.MoveStep]
	try      home.Try
	result   migration.MoveResult
	restOpen bool // the databases after the first are open too
}

func newMove(ctx workflow.Context, in Input) *move {
	try := migration.Try{Token: in.Token, Owner: workflow.GetInfo(ctx).WorkflowExecution.RunID}
	m := &move{Input: in, try: home.Try{Try: try, Spec: in.Spec, Slice: in.Slice, From: in.From}}
	m.result = migration.MoveResult{Try: try, From: in.From, To: in.To, Home: in.From}
	m.Hooks.Describe = func() string {
		return fmt.Sprintf("Moving **%s** from %s to %s, try %s.\n", in.Slice.Customer.ID, in.From, in.To, try)
	}
	return m
}

// run is the Move: check and freeze, in one activity next to the data, and route. Before the seal
// every failure leaves the origin open; after it every doubt is resolved by writing. A customer
// without a database has nothing to freeze: its home record is written.
func (m *move) run(ctx workflow.Context) (migration.MoveResult, error) {
	m.step(ctx, migration.StepChecking, migration.WaitData)
	err := m.call(ctx, migration.HookBeforeFence)
	var machines []health.Machines
	if err == nil {
		machines, err = m.machines(ctx)
	}
	switch {
	case err != nil:
	case m.Slice.Stateless():
		err = m.commit(ctx, machines)
	default:
		err = m.freeze(ctx, machines)
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx) // what is under way is finished, or taken back
	switch {
	case err == nil:
		return m.arrive(ctx)
	case errors.Is(err, home.ErrSuperseded):
		return m.ended(ctx, migration.MoveSuperseded, err)
	case errors.As(err, new(doubt)):
		return m.resolve(ctx, err)
	default:
		return m.giveUp(ctx, err)
	}
}

// step says where the Move is, in its details: the list of workflows shows its Customer. Where it
// is inside the freeze the heartbeats say.
func (m *move) step(ctx workflow.Context, phase migration.MoveStep, waiting migration.Waiting) {
	m.result.Step = phase
	m.SetDetails(ctx, phase, waiting, "")
}

// each runs a step on every database at once and hands on the first error, in the plan's order.
func (m *move) each(ctx workflow.Context, do func(workflow.Context, migration.Dataset) error) error {
	done := make([]workflow.Future, len(m.Slice.Databases))
	for i, d := range m.Slice.Databases {
		f, set := workflow.NewFuture(ctx)
		done[i] = f
		workflow.Go(ctx, func(ctx workflow.Context) { set.Set(nil, do(ctx, d)) })
	}
	var first error
	for _, f := range done {
		if err := f.Get(ctx, nil); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// ledPatience is how long the load balancer is asked for the machines of a side that the customer's
// requests reach already. Nobody serves them until it is homed there.
const ledPatience = 5 * time.Second

// machines asks the load balancer what serves the customer at the destination: the freeze begins by
// asking each of them. Where the route leads there already, a load balancer that does not answer is
// passed over.
func (m *move) machines(ctx workflow.Context) (out []health.Machines, err error) {
	req := health.DestinationRequest{Plan: m.Spec.Plan, Slice: m.Slice, Side: m.To}
	kind := work.Machines
	if m.Led {
		kind = kind.Within(ledPatience)
	}
	err = kind.Ask(ctx, "what serves "+m.Slice.Customer.ID+" on "+string(m.To), work.Health.FindMachines, req, &out)
	if err != nil && m.Led && ctx.Err() == nil {
		workflow.GetLogger(ctx).Warn("the load balancer does not say what serves the customer; its route leads there already",
			"customer", m.Slice.Customer.ID, "side", string(m.To), "error", err)
		return nil, nil
	}
	return out, err
}

// arrive makes the route follow what has opened. The customer is homed; nothing can go back from
// here but another Move.
func (m *move) arrive(ctx workflow.Context) (migration.MoveResult, error) {
	m.result.Home = m.To
	if !m.result.Fenced.IsZero() && !m.result.Opened.IsZero() {
		m.result.Freeze = migration.Duration(m.result.Opened.Sub(m.result.Fenced))
	}
	m.step(ctx, migration.StepRouting, migration.WaitAWS)
	to := traffic.WantedRoute{Customer: m.Slice.Customer.ID, Side: m.To, Token: m.try.Token,
		Weight: m.result.Weight} // as the open answered: no database is read
	var err error
	if m.result.Routed, err = home.Route(ctx, m.Spec, m.Slice, to, home.RouteInMove(m.Slice)); err != nil {
		m.result.Unrouted = work.Reason(err) // its Customer decides what follows: the data is where it was to be
	}
	return m.ended(ctx, migration.MoveDone, nil)
}

// giveUp takes the fence back, before the seal, whatever the reason. Nothing is lost if it cannot:
// the lease runs out by itself.
func (m *move) giveUp(ctx workflow.Context, why error) (migration.MoveResult, error) {
	if m.result.Step == migration.StepChecking {
		return m.ended(ctx, migration.MoveNotStarted, why)
	}
	_ = m.each(ctx, func(ctx workflow.Context, d migration.Dataset) error {
		_, err := m.try.Say(work.FreezeStep.Within(m.Slice.Policy.FreezeBudget.D()).At(ctx, d.Site(), "unfence "+d.Name),
			work.Postgres.UnfenceTenant, d)
		return err
	})
	return m.ended(ctx, migration.MoveGaveUp, why)
}

// resolve settles an unknown outcome by writing: poison either finds the destination open, and the
// Move goes forward, or makes a late open impossible, and the origin opens again.
func (m *move) resolve(ctx workflow.Context, why error) (migration.MoveResult, error) {
	at := m.result.Step
	m.step(ctx, migration.StepResolving, migration.WaitNothing)
	m.result.Try = m.try.Next()
	opened, err := m.settle(ctx)
	switch {
	case errors.Is(err, home.ErrSuperseded):
		return m.ended(ctx, migration.MoveSuperseded, err)
	case err != nil:
		return m.result, err
	case opened:
		return m.arrive(ctx)
	default:
		m.result.Step = at
		return m.ended(ctx, migration.MoveReversed, why)
	}
}

func (m *move) ended(ctx workflow.Context, outcome migration.MoveOutcome, why error) (migration.MoveResult, error) {
	m.result.Outcome = outcome
	if why != nil {
		m.result.Reason = work.Reason(why)
	}
	if outcome == migration.MoveDone {
		m.SetDetails(ctx, migration.StepDone, migration.WaitNothing, "")
	} else { // who looks for Moves that did not arrive finds them in the list
		m.Set(ctx, migration.StepFailed, migration.WaitNothing, m.result.Reason)
	}
	// Without the reason, which may quote what a database holds.
	workflow.GetLogger(ctx).Info("the Move has ended", "to", string(m.To), "outcome", string(outcome), "step", string(m.result.Step),
		"freeze", m.result.Freeze.D().String())
	return m.result, nil
}
