package workflows

import (
	"errors"
	"fmt"
	"strings"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
)

// Activities are called by method values of nil pointers: the compiler checks the names, and no client is built here.
var (
	pg     *postgres.Activities
	file   *files.Activities
	route  *traffic.Activities
	doctor *health.Activities
	specs  *state.Activities
)

// MoveInput is one try of a Move.
type MoveInput struct {
	Spec  migration.SpecRef       `json:"spec"`
	Slice migration.CustomerSlice `json:"slice"`
	From  migration.Side          `json:"from"`
	To    migration.Side          `json:"to"`
	Token int64                   `json:"token"`
}

// Move moves one customer from one side to the other, or leaves it where it is: there is no third way out. A cutover and a rollback
// are the same code. Whatever ends it otherwise (terminated, reset, lost), Customer repairs.
func Move(ctx workflow.Context, in MoveInput) (migration.MoveResult, error) {
	m := newMove(ctx, in)
	return m.run(ctx)
}

type move struct {
	MoveInput
	standing
	try    migration.Try
	result migration.MoveResult
}

func newMove(ctx workflow.Context, in MoveInput) *move {
	m := &move{MoveInput: in, try: migration.Try{Token: in.Token, Owner: workflow.GetInfo(ctx).WorkflowExecution.RunID}}
	m.result = migration.MoveResult{Try: m.try, From: in.From, To: in.To, Home: in.From}
	m.standing.describe = func() string {
		return fmt.Sprintf("Moving **%s** from %s to %s, try %s.\n", in.Slice.Customer.ID, in.From, in.To, m.try)
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

// errSuperseded says that a newer try owns the customer: whoever hears it stops, and undoes nothing.
var errSuperseded = errors.New("a newer try owns this customer")

// step says where the Move is. Inside the freeze only the details follow, which cost nothing: a search attribute is a write of the
// server's, and every one of them is time in which the customer cannot write.
func (m *move) step(ctx workflow.Context, phase migration.Phase, waiting migration.Waiting) {
	m.result.Step = phase
	switch phase {
	case migration.PhaseDraining, migration.PhaseSealing, migration.PhaseOpening:
		m.Phase, m.Waiting, m.Since = phase, waiting, workflow.Now(ctx)
		m.show(ctx)
	default:
		m.set(ctx, phase, waiting, "")
	}
}

func (m *move) tenant(d migration.Dataset, try migration.Try) postgres.TenantMove {
	return postgres.TenantMove{
		PostgresRef: postgres.PostgresRef{Plan: m.Spec.Plan, Dataset: d, Target: m.Slice.Target(d.Target())},
		Customer:    m.Slice.Customer.ID, Tenant: m.Slice.Customer.Tenant, From: m.From, Try: try,
		Lease: m.Slice.Policy.FreezeBudget, MaxLag: m.Slice.Policy.MaxLag,
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
	m.step(ctx, migration.PhaseChecking, migration.WaitNothing)
	probed := workflow.ExecuteActivity(probe(ctx, m.site(), "probe "+string(m.To)+" for "+m.Slice.Customer.ID),
		doctor.CheckDestination, health.DestinationRequest{Plan: m.Spec.Plan, Slice: m.Slice, Side: m.To})
	err := m.each(ctx, func(ctx workflow.Context, d migration.Dataset) error {
		var ready postgres.Readiness
		ctx = beats(ctx, d.Site(), m.Slice.Policy.MaxLag.D(), "check "+d.Name)
		if err := workflow.ExecuteActivity(ctx, pg.CheckTenant, m.tenant(d, m.try)).Get(ctx, &ready); err != nil {
			return err
		}
		m.result.Predicted = max(m.result.Predicted, ready.PredictedFreeze)
		return refused(ready.Findings)
	})
	var verdict health.DestinationResult
	if perr := probed.Get(ctx, &verdict); err == nil && perr != nil {
		return perr
	}
	if err != nil {
		return err
	}
	return refused(verdict.Findings)
}

// refused turns blockers into the reason why a try does not start.
func refused(findings []migration.Finding) error {
	var why []string
	for _, f := range migration.Blockers(findings) {
		why = append(why, fmt.Sprintf("%s: %s (%s)", f.Subject, f.Reason, f.Remedy))
	}
	if why == nil {
		return nil
	}
	return errors.New(strings.Join(why, "; "))
}

// fence makes the origin refuse the customer's writes until the lease runs out. It waits for writers under way, a little at a time.
func (m *move) fence(ctx workflow.Context) error {
	m.step(ctx, migration.PhaseFencing, migration.WaitNothing)
	return m.each(ctx, func(ctx workflow.Context, d migration.Dataset) error {
		for range fencePatience {
			r, err := m.say(freezeStep(ctx, d.Site(), m.Slice.Policy.FreezeBudget.D(), "fence "+d.Name), pg.FenceTenant, d, m.try)
			switch {
			case err != nil:
				return err
			case r.Word == migration.WordFenced:
				if m.result.Fenced.IsZero() || r.At.Before(m.result.Fenced) {
					m.result.Fenced = r.At
				}
				return nil
			case r.Word != migration.WordBusy:
				return said(d, "fence", r.Word)
			}
			if err := sleep(ctx, fenceWait, "writers under way in "+d.Name); err != nil {
				return err
			}
		}
		return fmt.Errorf("fence %s: the customer's writers did not finish in time: look for long transactions of tenant %d", d.Name, m.Slice.Customer.Tenant)
	})
}

// drain waits until everything written before the fence is at the destination, rows by replication and files by a last pass, and
// compares the customer's rows and files on both sides while nothing writes them.
func (m *move) drain(ctx workflow.Context) error {
	m.step(ctx, migration.PhaseDraining, migration.WaitData)
	var passes []workflow.Future
	for _, d := range m.Slice.Files {
		c := freezeWork(ctx, d.Site(), m.Slice.Policy.FreezeBudget.D(), "last pass over "+d.Name)
		passes = append(passes, workflow.ExecuteActivity(c, file.FinalFiles, filesRequest(m.Spec, m.Slice, d, m.From, m.try)))
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
	ctx = freezeWork(ctx, d.Site(), m.Slice.Policy.FreezeBudget.D(), "drain and verify "+d.Name)
	if err := workflow.ExecuteActivity(ctx, pg.DrainTenant, m.tenant(d, m.try)).Get(ctx, &r); err != nil {
		return err
	}
	m.result.Rows += r.Rows
	switch {
	case r.Word == migration.WordBehind:
		return fmt.Errorf("drain %s: the mark did not arrive within the freeze budget: replication is behind", d.Name)
	case r.Word != migration.WordFenced:
		return said(d, "drain", r.Word)
	case len(r.Differences) > 0:
		return fmt.Errorf("verify %s: the sides differ: %s", d.Name, strings.Join(r.Differences, "; "))
	}
	return nil
}

func filesRequest(spec migration.SpecRef, slice migration.CustomerSlice, d migration.Dataset, from migration.Side, try migration.Try) files.FilesRequest {
	req := files.FilesRequest{
		Plan: spec.Plan, Dataset: d, Target: slice.Target(d.Target()), State: spec.State, StateTarget: spec.Target,
		Customer: slice.Customer, From: from, Try: try, Fence: slice.Database(d.Files.FencedBy),
	}
	if req.Fence != nil {
		req.FenceTarget = slice.Target(req.Fence.Target())
	}
	return req
}

// seal closes the origin for good, while the lease lives. After it, only open or resolve.
func (m *move) seal(ctx workflow.Context) error {
	m.step(ctx, migration.PhaseSealing, migration.WaitNothing)
	return m.each(ctx, func(ctx workflow.Context, d migration.Dataset) error {
		for {
			// Twice the lease: by then the fence has run out by the origin's own clock, and the answer is final.
			r, err := m.say(freezeStep(ctx, d.Site(), 2*m.Slice.Policy.FreezeBudget.D(), "seal "+d.Name), pg.SealTenant, d, m.try)
			switch {
			case err != nil:
				return err
			case r.Word == migration.WordSealed:
				return nil
			case r.Word != migration.WordBusy:
				return said(d, "seal", r.Word)
			}
			if err := sleep(ctx, fenceWait, d.Name+" is busy"); err != nil {
				return err
			}
		}
	})
}

// open makes the destination the home. The first database is the commit point; the others open after it and only roll forward.
func (m *move) open(ctx workflow.Context) error {
	m.step(ctx, migration.PhaseOpening, migration.WaitNothing)
	first, start := m.Slice.Databases[0], workflow.Now(ctx)
	for {
		r, err := m.say(freezeStep(ctx, first.Site(), openPatience, "open "+first.Name), pg.OpenTenant, first, m.try)
		switch {
		case err != nil:
			return err
		case r.Word == migration.WordOpen:
			m.result.Opened = r.At
			return m.openRest(ctx, m.try)
		case r.Word != migration.WordBehind && r.Word != migration.WordBusy || workflow.Now(ctx).Sub(start) > openPatience:
			return said(first, "open", r.Word)
		}
		if err := sleep(ctx, openPause, first.Name+" on the other side is behind"); err != nil {
			return err
		}
	}
}

// openRest opens the databases after the first, for as long as it takes.
func (m *move) openRest(ctx workflow.Context, try migration.Try) error {
	for _, d := range m.Slice.Databases[1:] {
		for {
			r, err := m.say(forward(ctx, d.Site(), "open "+d.Name), pg.OpenTenant, d, try)
			if err != nil {
				return err
			}
			if r.Word == migration.WordOpen {
				break
			}
			if r.Word != migration.WordBehind && r.Word != migration.WordBusy {
				return said(d, "open", r.Word)
			}
			if err := sleep(ctx, 4*openPause, d.Name+" on the other side is behind"); err != nil {
				return err
			}
		}
	}
	return nil
}

// arrive makes the route follow the home record. The customer is homed; nothing can go back from here but another Move.
func (m *move) arrive(ctx workflow.Context) (migration.MoveResult, error) {
	m.result.Home = m.To
	if !m.result.Fenced.IsZero() && !m.result.Opened.IsZero() {
		m.result.Freeze = migration.Duration(m.result.Opened.Sub(m.result.Fenced))
	}
	m.step(ctx, migration.PhaseRouting, migration.WaitAWS)
	if err := followHome(ctx, m.Spec, m.Slice); err != nil {
		return m.result, err
	}
	return m.ended(ctx, migration.MoveDone, nil)
}

// followHome reconciles the customer's route to its home record and then verifies it, apart.
func followHome(ctx workflow.Context, spec migration.SpecRef, slice migration.CustomerSlice) error {
	if len(slice.Routes) == 0 {
		return nil
	}
	req := traffic.ReconcileRouteRequest{Spec: spec, Customer: slice.Customer.ID}
	site := slice.Databases[0].Site()
	c := routeStep(ctx, site, "route "+slice.Customer.ID+" to its home")
	if err := workflow.ExecuteActivity(c, route.ReconcileRoute, req).Get(c, nil); err != nil {
		return err
	}
	c = routeStep(ctx, site, "verify the route of "+slice.Customer.ID)
	return workflow.ExecuteActivity(c, route.VerifyRoute, req).Get(c, nil)
}

// giveUp takes the fence back, before the seal, whatever the reason. Nothing is lost if it cannot: the lease runs out by itself.
func (m *move) giveUp(ctx workflow.Context, why error) (migration.MoveResult, error) {
	if errors.Is(why, errSuperseded) {
		return m.ended(ctx, migration.MoveSuperseded, why)
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	_ = m.each(ctx, func(ctx workflow.Context, d migration.Dataset) error {
		_, err := m.say(freezeStep(ctx, d.Site(), m.Slice.Policy.FreezeBudget.D(), "unfence "+d.Name), pg.UnfenceTenant, d, m.try)
		return err
	})
	return m.ended(ctx, migration.MoveGaveUp, why)
}

// resolve settles an unknown outcome by writing: poison either finds the destination open, and the Move goes forward, or makes a
// late open impossible, and the origin opens again.
func (m *move) resolve(ctx workflow.Context, why error) (migration.MoveResult, error) {
	if errors.Is(why, errSuperseded) {
		return m.ended(ctx, migration.MoveSuperseded, why)
	}
	m.step(ctx, migration.PhaseResolving, migration.WaitNothing)
	opened, err := m.settle(ctx, m.try.Next(), m.try)
	m.result.Try = m.try.Next()
	switch {
	case errors.Is(err, errSuperseded):
		return m.ended(ctx, migration.MoveSuperseded, err)
	case err != nil:
		return m.result, err
	case opened:
		return m.arrive(ctx)
	default:
		return m.ended(ctx, migration.MoveReversed, why)
	}
}

// settle is poison and reopen under try, over all databases. It says whether the destination was found open: by the try in doubt, under
// which the databases after the first open too.
func (m *move) settle(ctx workflow.Context, try, doubted migration.Try) (opened bool, err error) {
	for i, d := range m.Slice.Databases {
		r, err := m.insist(ctx, "poison "+d.Name, pg.PoisonTenant, d, try)
		if err != nil {
			return false, err
		}
		if i == 0 && r.Word == migration.WordOpened {
			return true, m.openRest(ctx, doubted)
		}
	}
	for _, d := range m.Slice.Databases {
		r, err := m.insist(ctx, "reopen "+d.Name, pg.ReopenTenant, d, try)
		if err != nil {
			return false, err
		}
		if r.Word == migration.WordFenced { // sealed never happened here: the fence is simply taken back
			if _, err := m.insist(ctx, "unfence "+d.Name, pg.UnfenceTenant, d, try); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// insist repeats a step until it answers with a word that is not busy.
func (m *move) insist(ctx workflow.Context, summary string, step any, d migration.Dataset, try migration.Try) (postgres.StepResult, error) {
	for {
		r, err := m.say(forward(ctx, d.Site(), summary), step, d, try)
		switch {
		case err != nil:
			return r, err
		case r.Word == migration.WordSuperseded:
			return r, said(d, summary, r.Word)
		case r.Word != migration.WordBusy:
			return r, nil
		}
		if err := sleep(ctx, fenceWait, d.Name+" is busy"); err != nil {
			return r, err
		}
	}
}

// say runs one step on one database.
func (m *move) say(ctx workflow.Context, step any, d migration.Dataset, try migration.Try) (postgres.StepResult, error) {
	var r postgres.StepResult
	err := workflow.ExecuteActivity(ctx, step, m.tenant(d, try)).Get(ctx, &r)
	return r, err
}

// said is the error behind a word that ends a try.
func said(d migration.Dataset, step string, w migration.Word) error {
	switch w {
	case migration.WordSuperseded:
		return fmt.Errorf("%s %s: %w", step, d.Name, errSuperseded)
	case migration.WordExpired, migration.WordNotFenced:
		return fmt.Errorf("%s %s: the freeze budget was spent, and the origin is open again", step, d.Name)
	case migration.WordBehind:
		return fmt.Errorf("%s %s: the destination does not have everything", step, d.Name)
	default:
		return fmt.Errorf("%s %s: the database answered %q", step, d.Name, w)
	}
}

func (m *move) ended(ctx workflow.Context, outcome migration.MoveOutcome, why error) (migration.MoveResult, error) {
	m.result.Outcome = outcome
	if why != nil {
		m.result.Reason = reason(why)
	}
	phase := migration.PhaseDone
	if outcome != migration.MoveDone {
		phase = migration.PhaseFailed
	}
	m.set(ctx, phase, migration.WaitNothing, m.result.Reason)
	return m.result, nil
}

// reason is an error as a person should read it: the innermost message, without Temporal's envelope.
func reason(err error) string {
	var at *temporal.ActivityError
	if errors.As(err, &at) && err != error(at) { //nolint:errorlint // whether something of ours is around it
		around, _ := strings.CutSuffix(err.Error(), at.Error())
		return around + reason(at)
	}
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Message()
	}
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		if cause := errors.Unwrap(timeout); cause != nil {
			return reason(cause)
		}
		if timeout.TimeoutType() == enums.TIMEOUT_TYPE_START_TO_CLOSE {
			return "no answer in time"
		}
		return "no worker answered in time"
	}
	if errors.As(err, new(*temporal.CanceledError)) {
		return "canceled"
	}
	return err.Error()
}

func (m *move) site() string { return m.Slice.Databases[0].Site() }
