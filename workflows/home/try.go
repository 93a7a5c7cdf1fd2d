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

const (
	// BusyPause lies between two attempts at a step that found a customer's writers or catalog
	// locks in its way.
	BusyPause = 100 * time.Millisecond
	// BehindPause lies between two attempts to open a destination that is behind.
	BehindPause = 50 * time.Millisecond
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

// Insist repeats a step until it answers with a word that is not busy.
func (t Try) Insist(ctx workflow.Context, summary string, step any, d migration.Dataset) (postgres.StepResult, error) {
	for {
		r, err := t.Say(work.Resolution.At(ctx, d.Site(), summary), step, d)
		switch {
		case err != nil:
			return r, err
		case r.Word == migration.WordSuperseded:
			return r, Answered(d, summary, r.Word)
		case r.Word != migration.WordBusy:
			return r, nil
		}
		if err := work.Sleep(ctx, BusyPause, d.Name+" is busy"); err != nil {
			return r, err
		}
	}
}

// OpenRest opens the databases after the first, for as long as it takes.
func (t Try) OpenRest(ctx workflow.Context) error {
	for _, d := range t.Slice.Databases[1:] {
		for {
			r, err := t.Say(work.Resolution.At(ctx, d.Site(), "open "+d.Name), work.Postgres.OpenTenant, d)
			if err != nil {
				return err
			}
			if r.Word == migration.WordOpen {
				break
			}
			if r.Word != migration.WordBehind && r.Word != migration.WordBusy {
				return Answered(d, "open", r.Word)
			}
			if err := work.Sleep(ctx, 4*BehindPause, d.Name+" on the other side is behind"); err != nil {
				return err
			}
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
	default:
		return fmt.Errorf("%s %s: the database answered %q", step, d.Name, w)
	}
}
