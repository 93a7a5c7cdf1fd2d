package move

import (
	"errors"
	"fmt"
	"slices"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/freeze"
	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/home"
	"github.com/drover-migration/drover/workflows/work"
)

// siteRound is what a round of activities at several sites adds to a freeze.
const siteRound = 100 * time.Millisecond

// round is one activity at each site, all at once.
type round struct {
	first, last migration.MoveStep
	sites       []string
}

// rounds are those of a check and a freeze: all steps in one activity, where the customer's data
// lies at one site. At several sites each step waits until the one before it is done everywhere,
// and what lies at the first database's site opens first.
func (m *move) rounds() []round {
	var sites []string
	for _, d := range append(slices.Clone(m.Slice.Databases), m.Slice.Files...) {
		if !slices.Contains(sites, d.Site()) {
			sites = append(sites, d.Site())
		}
	}
	if len(sites) == 1 {
		return []round{{migration.StepChecking, migration.StepOpening, sites}}
	}
	rounds := []round{
		{migration.StepChecking, migration.StepChecking, sites},
		{migration.StepFencing, migration.StepFencing, sites}, {migration.StepDraining, migration.StepDraining, sites},
	}
	if len(migration.FrozenHooks(m.Slice.Hooks, m.To)) > 0 {
		rounds = append(rounds, round{migration.StepCalling, migration.StepCalling, sites[:1]})
	}
	return append(rounds, round{migration.StepSealing, migration.StepSealing, sites},
		round{migration.StepOpening, migration.StepOpening, sites[:1]})
}

// betweenSites is what rounds of activities at several sites add to a freeze. It is 0 at one site.
func (m *move) betweenSites() migration.Duration {
	rounds := len(m.rounds())
	if rounds == 1 {
		return 0
	}
	return migration.Duration(time.Duration(rounds-2) * siteRound) // the first is before the fence
}

// freeze checks everything that can be checked before anything is touched, and is then the part of
// the Move in which the customer cannot write, from fence to open. It says how it ended, if it did
// not come to its end: superseded, before a seal was tried, or in doubt.
func (m *move) freeze(ctx workflow.Context, machines []health.Machines) error {
	rounds := m.rounds()
	m.result.Predicted = m.betweenSites()
	for _, r := range rounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.first == migration.StepSealing { // from here on a cancel is refused: both sides may be closed
			ctx, _ = workflow.NewDisconnectedContext(ctx)
		}
		if err := m.ask(ctx, r, machines); err != nil {
			return err
		}
	}
	if len(m.Slice.Databases) == 1 || len(rounds) == 1 && m.restOpen {
		return nil
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err := m.try.OpenRest(ctx); err != nil {
		return doubt{err}
	}
	return nil
}

// doubt is the end of a freeze after which the origin may be sealed, or the destination open.
type doubt struct{ error }

func (d doubt) Unwrap() error { return d.error }

// ask carries out a round. Superseded counts before a doubt, and a doubt before what is only over.
func (m *move) ask(ctx workflow.Context, r round, machines []health.Machines) error {
	asked := make([]workflow.Future, len(r.sites))
	for i, site := range r.sites {
		c := work.Freeze.At(ctx, site, fmt.Sprintf("freeze %s: %s to %s", m.Slice.Customer.ID, r.first, r.last))
		req := freeze.Request{Spec: m.Spec, Slice: m.Slice, From: m.From, Try: m.try.Try, Site: site, First: r.first, Last: r.last}
		if r.first == migration.StepChecking {
			req.Machines, req.Note = machines, m.Input.Note
		}
		asked[i] = workflow.ExecuteActivity(c, work.Freezer.FreezeCustomer, req)
	}
	var over, doubted, superseded error
	for i, f := range asked {
		var res freeze.Result
		err := f.Get(ctx, &res)
		switch {
		case err != nil && m.begun(r, err):
			doubted = doubt{err}
		case err != nil && work.Away(err, r.sites[i]) != "":
			over = errors.New(work.Away(err, r.sites[i]))
		case err != nil:
			over = err
		default:
			m.take(res)
		}
		switch {
		case res.Superseded:
			superseded = fmt.Errorf("%s: %w", res.Reason, home.ErrSuperseded)
		case res.Reason != "" && res.Doubtful():
			doubted = doubt{errors.New(res.Reason)}
		case res.Reason != "":
			over = errors.New(res.Reason)
		case over == nil:
			over = work.Refused(res.Findings)
		}
	}
	if over != nil && r.first == migration.StepSealing { // another site may be sealed
		doubted, over = doubt{over}, nil
	}
	return firstError(superseded, doubted, over)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// begun says whether an activity that did not answer may have tried a seal.
func (m *move) begun(r round, err error) bool {
	var late *temporal.TimeoutError
	if errors.As(err, &late) {
		var last freeze.Beat
		if late.HasLastHeartbeatDetails() && late.LastHeartbeatDetails(&last) == nil {
			m.result.Step = last.Step
		}
		if late.TimeoutType() == enums.TIMEOUT_TYPE_SCHEDULE_TO_START {
			return false
		}
	}
	return r.last == migration.StepSealing || r.last == migration.StepOpening
}

// take keeps what an activity has found.
func (m *move) take(res freeze.Result) {
	m.result.Step = res.Step
	if !res.Fenced.IsZero() && (m.result.Fenced.IsZero() || res.Fenced.Before(m.result.Fenced)) {
		m.result.Fenced = res.Fenced
	}
	if !res.Opened.IsZero() {
		m.result.Opened = res.Opened
	}
	if res.Predicted > 0 { // rows and files are compared at the same time
		m.result.Predicted = max(m.result.Predicted, res.Predicted+m.betweenSites())
	}
	m.result.Hold = res.Hold
	for _, why := range res.Missed {
		m.miss(why)
	}
	m.result.Rows += res.Rows
	m.result.Objects += res.Objects
	m.result.Took = m.result.Took.Add(res.Took)
	m.result.Checked = append(m.result.Checked, res.Checked...)
	m.result.Verified, m.result.Sealed = later(m.result.Verified, res.Verified), later(m.result.Sealed, res.Sealed)
	if res.Drover != "" {
		m.result.Drover = res.Drover
	}
	m.restOpen = res.RestOpen
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
