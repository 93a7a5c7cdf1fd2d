// Package move is one try of moving a customer from one side to the other: check, fence, drain and verify, seal, open, route.
package move

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/home"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	// FencePatience is how often a fence is tried that finds writers in its way, before the try is given up.
	FencePatience = 12
	openPatience  = 3 * time.Second // how long a destination may find itself behind, once the origin is sealed
)

// Input is one try of a Move.
type Input struct {
	Spec  migration.SpecRef       `json:"spec"`
	Slice migration.CustomerSlice `json:"slice"`
	From  migration.Side          `json:"from"`
	To    migration.Side          `json:"to"`
	Token int64                   `json:"token"`
}

// Move moves one customer from one side to the other, or leaves it where it is: there is no third way out. A cutover and a rollback
// are the same code. Whatever ends it otherwise (terminated, reset, lost), Customer repairs.
func Move(ctx workflow.Context, in Input) (migration.MoveResult, error) {
	m := newMove(ctx, in)
	return m.run(ctx)
}

type move struct {
	Input
	status.Status[migration.MoveStep]
	try    home.Try
	result migration.MoveResult
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

// run is the Move: check, fence, drain and verify, seal, open, route. Before the seal every failure leaves the origin open; after it
// every doubt is resolved by writing.
func (m *move) run(ctx workflow.Context) (migration.MoveResult, error) {
	if err := m.check(ctx); err != nil {
		return m.ended(ctx, migration.MoveNotStarted, err)
	}
	for _, step := range []func(workflow.Context) error{m.fence, m.drain} {
		if err := step(ctx); err != nil {
			return m.giveUp(ctx, err)
		}
	}
	if ctx.Err() != nil {
		return m.giveUp(ctx, ctx.Err())
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx) // from here on a cancel is refused: both sides may be closed
	if err := m.seal(ctx); err != nil {
		return m.resolve(ctx, err)
	}
	if err := m.open(ctx); err != nil {
		return m.resolve(ctx, err)
	}
	return m.arrive(ctx)
}

// step says where the Move is. Inside the freeze only the details follow, which cost nothing: a search attribute is a write of the
// server's, and every one of them is time in which the customer cannot write.
func (m *move) step(ctx workflow.Context, phase migration.MoveStep, waiting migration.Waiting) {
	m.result.Step = phase
	switch phase {
	case migration.StepDraining, migration.StepSealing, migration.StepOpening:
		m.SetDetails(ctx, phase, waiting)
	default:
		m.Set(ctx, phase, waiting, "")
	}
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

// check asks everything that can be asked before anything is touched.
func (m *move) check(ctx workflow.Context) error {
	m.step(ctx, migration.StepChecking, migration.WaitNothing)
	probed := workflow.ExecuteActivity(work.Probe.At(ctx, m.site(), "probe "+string(m.To)+" for "+m.Slice.Customer.ID),
		work.Health.CheckDestination, health.DestinationRequest{Plan: m.Spec.Plan, Slice: m.Slice, Side: m.To})
	err := m.each(ctx, func(ctx workflow.Context, d migration.Dataset) error {
		var ready postgres.Readiness
		ctx = work.Beat(m.Slice.Policy.MaxLag.D()).At(ctx, d.Site(), "check "+d.Name)
		if err := workflow.ExecuteActivity(ctx, work.Postgres.CheckTenant, m.try.Request(d)).Get(ctx, &ready); err != nil {
			return err
		}
		m.result.Predicted = max(m.result.Predicted, ready.PredictedFreeze)
		return work.Refused(ready.Findings)
	})
	var verdict health.DestinationResult
	if perr := probed.Get(ctx, &verdict); err == nil && perr != nil {
		return perr
	}
	if err != nil {
		return err
	}
	return work.Refused(verdict.Findings)
}

// fence makes the origin refuse the customer's writes until the lease runs out. It waits for writers under way, a little at a time.
func (m *move) fence(ctx workflow.Context) error {
	m.step(ctx, migration.StepFencing, migration.WaitNothing)
	return m.each(ctx, func(ctx workflow.Context, d migration.Dataset) error {
		for range FencePatience {
			r, err := m.try.Say(work.FreezeStep.Within(m.Slice.Policy.FreezeBudget.D()).At(ctx, d.Site(), "fence "+d.Name), work.Postgres.FenceTenant, d)
			switch {
			case err != nil:
				return err
			case r.Word == migration.WordFenced:
				if m.result.Fenced.IsZero() || r.At.Before(m.result.Fenced) {
					m.result.Fenced = r.At
				}
				return nil
			case r.Word != migration.WordBusy:
				return home.Answered(d, "fence", r.Word)
			}
			if err := work.Sleep(ctx, home.BusyPause, "writers under way in "+d.Name); err != nil {
				return err
			}
		}
		return fmt.Errorf("fence %s: the customer's writers did not finish in time: look for long transactions of tenant %d", d.Name, m.Slice.Customer.Tenant)
	})
}

// drain waits until everything written before the fence is at the destination, rows by replication and files by a last pass, and
// compares the customer's rows and files on both sides while nothing writes them.
func (m *move) drain(ctx workflow.Context) error {
	m.step(ctx, migration.StepDraining, migration.WaitData)
	var passes []workflow.Future
	for _, d := range m.Slice.Files {
		c := work.FreezePass.Within(m.Slice.Policy.FreezeBudget.D()).At(ctx, d.Site(), "last pass over "+d.Name)
		passes = append(passes, workflow.ExecuteActivity(c, work.Files.FinalFiles, work.FilesRequest(m.Spec, m.Slice, d, m.From, m.try.Try)))
	}
	err := m.each(ctx, m.drainDatabase)
	for i, p := range passes {
		var r files.FilesResult
		if perr := p.Get(ctx, &r); perr != nil && err == nil {
			err = fmt.Errorf("last pass over %s: %w", m.Slice.Files[i].Name, perr)
		}
		m.result.Objects += r.Objects
	}
	return err
}

func (m *move) drainDatabase(ctx workflow.Context, d migration.Dataset) error {
	var r postgres.DrainResult
	ctx = work.FreezePass.Within(m.Slice.Policy.FreezeBudget.D()).At(ctx, d.Site(), "drain and verify "+d.Name)
	if err := workflow.ExecuteActivity(ctx, work.Postgres.DrainTenant, m.try.Request(d)).Get(ctx, &r); err != nil {
		return err
	}
	m.result.Rows += r.Rows
	switch {
	case r.Word == migration.WordBehind:
		return fmt.Errorf("drain %s: the mark did not arrive within the freeze budget: replication is behind", d.Name)
	case r.Word != migration.WordFenced:
		return home.Answered(d, "drain", r.Word)
	case len(r.Differences) > 0:
		return fmt.Errorf("verify %s: the sides differ: %s", d.Name, strings.Join(r.Differences, "; "))
	}
	return nil
}

// seal closes the origin for good, while the lease lives. After it, only open or resolve.
func (m *move) seal(ctx workflow.Context) error {
	m.step(ctx, migration.StepSealing, migration.WaitNothing)
	return m.each(ctx, func(ctx workflow.Context, d migration.Dataset) error {
		for {
			// Twice the lease: by then the fence has run out by the origin's own clock, and the answer is final.
			r, err := m.try.Say(work.FreezeStep.Within(2*m.Slice.Policy.FreezeBudget.D()).At(ctx, d.Site(), "seal "+d.Name), work.Postgres.SealTenant, d)
			switch {
			case err != nil:
				return err
			case r.Word == migration.WordSealed:
				return nil
			case r.Word != migration.WordBusy:
				return home.Answered(d, "seal", r.Word)
			}
			if err := work.Sleep(ctx, home.BusyPause, d.Name+" is busy"); err != nil {
				return err
			}
		}
	})
}

// open makes the destination the home. The first database is the commit point; the others open after it and only roll forward.
func (m *move) open(ctx workflow.Context) error {
	m.step(ctx, migration.StepOpening, migration.WaitNothing)
	first, start := m.Slice.Databases[0], workflow.Now(ctx)
	for {
		r, err := m.try.Say(work.FreezeStep.Within(openPatience).At(ctx, first.Site(), "open "+first.Name), work.Postgres.OpenTenant, first)
		switch {
		case err != nil:
			return err
		case r.Word == migration.WordOpen:
			m.result.Opened = r.At
			return m.try.OpenRest(ctx)
		case r.Word != migration.WordBehind && r.Word != migration.WordBusy || workflow.Now(ctx).Sub(start) > openPatience:
			return home.Answered(first, "open", r.Word)
		}
		if err := work.Sleep(ctx, home.BehindPause, first.Name+" on the other side is behind"); err != nil {
			return err
		}
	}
}

// arrive makes the route follow the home record. The customer is homed; nothing can go back from here but another Move.
func (m *move) arrive(ctx workflow.Context) (migration.MoveResult, error) {
	m.result.Home = m.To
	if !m.result.Fenced.IsZero() && !m.result.Opened.IsZero() {
		m.result.Freeze = migration.Duration(m.result.Opened.Sub(m.result.Fenced))
	}
	m.step(ctx, migration.StepRouting, migration.WaitAWS)
	if err := home.Follow(ctx, m.Spec, m.Slice); err != nil {
		return m.result, err
	}
	return m.ended(ctx, migration.MoveDone, nil)
}

// giveUp takes the fence back, before the seal, whatever the reason. Nothing is lost if it cannot: the lease runs out by itself.
func (m *move) giveUp(ctx workflow.Context, why error) (migration.MoveResult, error) {
	if errors.Is(why, home.ErrSuperseded) {
		return m.ended(ctx, migration.MoveSuperseded, why)
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	_ = m.each(ctx, func(ctx workflow.Context, d migration.Dataset) error {
		_, err := m.try.Say(work.FreezeStep.Within(m.Slice.Policy.FreezeBudget.D()).At(ctx, d.Site(), "unfence "+d.Name), work.Postgres.UnfenceTenant, d)
		return err
	})
	return m.ended(ctx, migration.MoveGaveUp, why)
}

// resolve settles an unknown outcome by writing: poison either finds the destination open, and the Move goes forward, or makes a
// late open impossible, and the origin opens again.
func (m *move) resolve(ctx workflow.Context, why error) (migration.MoveResult, error) {
	if errors.Is(why, home.ErrSuperseded) {
		return m.ended(ctx, migration.MoveSuperseded, why)
	}
	m.step(ctx, migration.StepResolving, migration.WaitNothing)
	opened, err := m.try.Under(m.try.Next()).Settle(ctx, m.try.Try)
	m.result.Try = m.try.Next()
	switch {
	case errors.Is(err, home.ErrSuperseded):
		return m.ended(ctx, migration.MoveSuperseded, err)
	case err != nil:
		return m.result, err
	case opened:
		return m.arrive(ctx)
	default:
		return m.ended(ctx, migration.MoveReversed, why)
	}
}

func (m *move) ended(ctx workflow.Context, outcome migration.MoveOutcome, why error) (migration.MoveResult, error) {
	m.result.Outcome = outcome
	if why != nil {
		m.result.Reason = work.Reason(why)
	}
	phase := migration.StepDone
	if outcome != migration.MoveDone {
		phase = migration.StepFailed
	}
	m.Set(ctx, phase, migration.WaitNothing, m.result.Reason)
	return m.result, nil
}

func (m *move) site() string { return m.Slice.Databases[0].Site() }
