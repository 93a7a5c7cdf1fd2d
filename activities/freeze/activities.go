package freeze

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drover-migration/drover/health"
	"github.com/drover-migration/drover/hooks"
	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/internal/version"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
)

// Pairs opens a dataset's two servers and keeps them connected.
type Pairs interface {
	Open(ctx context.Context, plan string, d migration.Dataset, target migration.Target) (*engine.Pair, error)
}

// Files begins the last pass over a customer's files.
type Files interface {
	// Begin makes a warm pass, if warm, and keeps what the last pass needs of it. It changes
	// nothing that a Move has begun to move.
	Begin(ctx context.Context, of Tree, warm bool) (Pass, error)
}

// Tree is a customer's part of a file dataset.
type Tree struct {
	Spec    migration.SpecRef
	Slice   migration.CustomerSlice
	Dataset migration.Dataset
	From    migration.Side // the home
}

// Pass is a last pass to come.
type Pass interface {
	// Predicted is how long Final takes if nothing changes until then; 0: not known.
	Predicted() time.Duration
	// Final makes both sides equal, or fails. allowed is asked before each effect.
	Final(ctx context.Context, allowed func(context.Context) error) (objects int64, err error)
	Close()
}

// Doctor asks machines, and no load balancer; *health.Doctor is one.
type Doctor interface {
	CheckDestination(ctx context.Context, of migration.CustomerSlice, side migration.Side,
		at []health.Machines) ([]migration.Finding, error)
}

// Activities needs what the activities of its databases and files need, to reach the machines of
// both sides, and the webhooks of the freeze.
type Activities struct {
	pairs  Pairs
	files  Files
	doctor Doctor
	caller *hooks.Caller
}

// New builds the activities over connections that live as long as the worker. caller calls the
// plan's hooks inside the freeze.
func New(pairs Pairs, files Files, doctor Doctor, caller *hooks.Caller) *Activities {
	return &Activities{pairs: pairs, files: files, doctor: doctor, caller: caller}
}

// Request is one try of a Move of a customer. A customer whose databases and files lie at one site
// has all steps in one activity; any other has an activity at each site for each step.
type Request struct {
	Spec  migration.SpecRef       `json:"spec"`
	Slice migration.CustomerSlice `json:"slice"`
	From  migration.Side          `json:"from"`
	Try   migration.Try           `json:"try"`
	Site  string                  `json:"site"`  // only the databases and files that lie there
	First migration.MoveStep      `json:"first"` // checking, fencing, draining, calling, sealing or opening
	Last  migration.MoveStep      `json:"last"`  // the same; no earlier than First
	// Machines are what serves the customer at the destination, for the check at the site of its
	// first database; elsewhere none is asked.
	Machines []health.Machines `json:"machines,omitempty"`
	// Note is what to remember of the customer at its origin. The check writes it, into its first
	// database, and nothing depends on that.
	Note *migration.Note `json:"note,omitempty"`
}

// Result is how far the steps came.
type Result struct {
	Step       migration.MoveStep   `json:"step"`                 // the last that was begun; checking: the customer was not touched
	Reason     string               `json:"reason,omitempty"`     // why the steps did not come to their end; empty: they did
	Superseded bool                 `json:"superseded,omitempty"` // a newer try owns the customer: whoever hears it stops
	RestOpen   bool                 `json:"restOpen,omitempty"`   // the databases after the first are open too
	Fenced     time.Time            `json:"fenced,omitzero"`      // of the first database fenced, by its clock
	Opened     time.Time            `json:"opened,omitzero"`      // of the first database, by its clock
	Rows       int64                `json:"rows,omitempty"`       // compared on both sides
	Objects    int64                `json:"objects,omitempty"`    // files compared on both sides
	Findings   []migration.Finding  `json:"findings,omitempty"`   // of the check; after one with a blocker nothing is touched
	Predicted  migration.Duration   `json:"predicted,omitempty"`  // fence to open, as the check and the warm passes over files predict it
	Took       migration.FreezeTook `json:"took,omitzero"`
	Verified   time.Time            `json:"verified,omitzero"` // all of Checked had been compared, by this worker's clock
	Sealed     time.Time            `json:"sealed,omitzero"`   // by this worker's clock
	Checked    []migration.Checked  `json:"checked,omitempty"` // by dataset, in the plan's order: databases, then files
	Drover     string               `json:"drover,omitempty"`  // this worker's version
	Hold       string               `json:"hold,omitempty"`    // the Reason, where a hook's answer is it
	Missed     []string             `json:"missed,omitempty"`  // hooks that failed or held, and kept nobody from going home
}

// Doubtful says that the origin may be sealed: only writing finds out what holds.
func (r Result) Doubtful() bool {
	return r.Step == migration.StepSealing || r.Step == migration.StepOpening
}

// Beat is what a heartbeat says.
type Beat struct {
	Step migration.MoveStep `json:"step"`
}

// FreezeCustomer carries out the steps from First to Last. An end that a step's answer explains is
// a result; an error, like a time-out, leaves open how far the steps came. A cancel stops it before
// the seal and no later.
//
// Run twice at once, both answer the same or one hears superseded. Cut off after an effect, or a
// zombie of a later time, it is stopped by the try that each step carries: whoever settled it
// meanwhile did so under a higher token.
func (a *Activities) FreezeCustomer(ctx context.Context, req Request) (Result, error) {
	say, stop := heartbeat.Saying[Beat](context.WithoutCancel(ctx))
	defer stop()
	f := &freezing{req: req, files: a.files, doctor: a.doctor, caller: a.caller, say: func(p migration.MoveStep) { say(Beat{Step: p}) }}
	f.say(migration.StepChecking)
	defer f.release()
	f.result.Step, f.result.Drover = migration.StepChecking, version.String()
	err := f.open(ctx, a.pairs)
	if err == nil {
		err = f.run(ctx)
	}
	var not *reversed
	switch {
	case err == nil:
	case errors.As(err, &not):
		f.result.Reason, f.result.Superseded = not.reason, not.superseded
	case f.result.Doubtful():
		return f.result, err
	default:
		f.result.Reason, f.result.Hold = err.Error(), holds(err)
		if ctx.Err() != nil {
			f.result.Reason = fmt.Sprintf("canceled: %s", err)
		}
	}
	return f.result, nil
}

// reversed is an answer of a database that ends a try.
type reversed struct {
	reason     string
	superseded bool
}

func (r *reversed) Error() string { return r.reason }

// said is the end behind a word.
func said(step, database string, w migration.Word) error {
	r := &reversed{superseded: w == migration.WordSuperseded}
	switch w {
	case migration.WordSuperseded:
		r.reason = fmt.Sprintf("%s %s: a newer try owns this customer", step, database)
	case migration.WordExpired, migration.WordNotFenced:
		r.reason = fmt.Sprintf("%s %s: the freeze budget was spent, and the origin is open again", step, database)
	case migration.WordBehind:
		r.reason = fmt.Sprintf("%s %s: the destination does not have everything", step, database)
	default:
		r.reason = fmt.Sprintf("%s %s: the database answered %q", step, database, w)
	}
	return r
}
