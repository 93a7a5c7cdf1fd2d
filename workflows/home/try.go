package home

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// A step that must happen is asked for again where it finds somebody in its way: a customer's
// writers, a catalog lock, a replication that is behind. Its activity waits a while by itself. Each
// round costs events of a history that cannot be renewed here, so that there are not more than
// rounds of them, over some minutes. Then the step has not happened, and whoever reads the home
// next begins anew.
const (
	rounds         = 24
	roundPause     = 100 * time.Millisecond // between the first two; doubles
	roundPauseMost = 15 * time.Second
)

// ErrSuperseded says that a newer try owns the customer: whoever hears it stops, and undoes
// nothing.
var ErrSuperseded = errors.New("a newer try owns this customer")

// Try is one try's hand on a customer's databases: every step carries its token and owner.
type Try struct {
	migration.Try
	Spec  migration.SpecRef
	Slice migration.CustomerSlice
	From  migration.Side // its origin
}

// Under is the same hand under another token and owner.
func (t Try) Under(try migration.Try) Try {
	t.Try = try
	return t
}

// Request is what a step on one database is asked with.
func (t Try) Request(d migration.Dataset) postgres.TenantMove {
	return postgres.TenantMove{
		PostgresRef: postgres.PostgresRef{Plan: t.Spec.Plan, Dataset: d, Target: t.Slice.Target(d.Target())},
		Customer:    t.Slice.Customer.ID, Tenant: t.Slice.Customer.Tenant, From: t.From, Try: t.Try,
	}
}

// Say runs one step on one database.
func (t Try) Say(ctx workflow.Context, step any, d migration.Dataset) (postgres.StepResult, error) {
	var r postgres.StepResult
	err := workflow.ExecuteActivity(ctx, step, t.Request(d)).Get(ctx, &r)
	return r, err
}

// Insist repeats a step until nobody is in its way. It gives up after some rounds, with the word of
// the last.
func (t Try) Insist(ctx workflow.Context, step string, activity any, d migration.Dataset) (postgres.StepResult, error) {
	for round, pause := 1, roundPause; ; round, pause = round+1, min(2*pause, roundPauseMost) {
		r, err := t.Say(work.Resolution.At(ctx, d.Site(), step+" "+d.Name), activity, d)
		switch {
		case err != nil:
			return r, err
		case r.Word == migration.WordSuperseded:
			return r, Answered(d, step, r.Word)
		case r.Word != migration.WordBusy && r.Word != migration.WordBehind:
			return r, nil
		case round == rounds:
			return r, Answered(d, step, r.Word)
		}
		if err := work.Sleep(ctx, pause, fmt.Sprintf("%s is %s", d.Name, r.Word)); err != nil {
			return r, err
		}
	}
}

// OpenRest opens the databases after the first.
func (t Try) OpenRest(ctx workflow.Context) error {
	for _, d := range t.Slice.Databases[1:] {
		r, err := t.Insist(ctx, "open", work.Postgres.OpenTenant, d)
		if err != nil {
			return err
		}
		if r.Word != migration.WordOpen {
			return Answered(d, "open", r.Word)
		}
	}
	return nil
}

// Answered is the error behind a word that ends a try.
func Answered(d migration.Dataset, step string, w migration.Word) error {
	switch w {
	case migration.WordSuperseded:
		return fmt.Errorf("%s %s: %w", step, d.Name, ErrSuperseded)
	case migration.WordExpired, migration.WordNotFenced:
		return fmt.Errorf("%s %s: the freeze budget was spent, and the origin is open again", step, d.Name)
	case migration.WordBehind:
		return fmt.Errorf("%s %s: the destination does not have everything", step, d.Name)
	case migration.WordBusy:
		return fmt.Errorf("%s %s: others hold what it needs: look for long transactions, and for changes of its tables", step, d.Name)
	default:
		return fmt.Errorf("%s %s: the database answered %q", step, d.Name, w)
	}
}
