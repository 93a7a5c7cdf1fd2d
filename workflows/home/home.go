// Package home is the one hard idea of the product: where a customer is homed is in the data, never
// in a workflow. It reads the home record, settles what a Move left between its steps (claim,
// poison, reopen), and makes the route follow. A Move uses it to resolve its doubts, and a Customer
// to repair a Move that did not say how it ended.
package home

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// UndecidedError says that the data names no home: whatever was done now could be done on the wrong
// side, and a person has to look.
type UndecidedError struct{ Words string }

func (e *UndecidedError) Error() string { return e.Words }

// Keeper reads and repairs the home of one customer.
type Keeper struct {
	Spec  migration.SpecRef
	Slice migration.CustomerSlice
	Home  migration.Side                                   // as the customer last knew it
	Token int64                                            // highest that any try of the customer used: a repair takes the next
	Note  func(ctx workflow.Context, what, because string) // to the customer's timeline
}

// Read asks the data where the customer is homed. Of several databases the one that is in the
// middle of a try speaks for all: the others have not begun it, or are through with it.
func (k *Keeper) Read(ctx workflow.Context) (migration.HomeRecord, error) {
	if k.Slice.Stateless() {
		return k.readRecord(ctx)
	}
	records := make([]workflow.Future, len(k.Slice.Databases))
	for i, d := range k.Slice.Databases {
		req := postgres.TenantRequest{
			PostgresRef: postgres.PostgresRef{Plan: k.Spec.Plan, Dataset: d, Target: k.Slice.Target(d.Target())},
			Customer:    k.Slice.Customer.ID, Tenant: k.Slice.Customer.Tenant,
		}
		c := work.DataQuestion.At(ctx, d.Site(), "read the home record of "+k.Slice.Customer.ID+" in "+d.Name)
		records[i] = workflow.ExecuteActivity(c, work.Postgres.ReadHome, req)
	}
	var home migration.HomeRecord
	for i, f := range records {
		var rec migration.HomeRecord
		if err := f.Get(ctx, &rec); err != nil {
			if words := work.Away(err, k.Slice.Databases[i].Site()); words != "" {
				return rec, errors.New(words)
			}
			return rec, fmt.Errorf("database %s: %w", k.Slice.Databases[i].Name, err)
		}
		k.Token = max(k.Token, rec.Token())
		if why := rec.Undecided(); why != "" { // whatever was done now could be done on the wrong side
			return rec, &UndecidedError{Words: fmt.Sprintf("database %s: %s", k.Slice.Databases[i].Name, why)}
		}
		switch {
		case i == 0 || home.Settled() && !rec.Settled():
			home = rec
		case home.Settled() && rec.Home() != home.Home():
			return home, fmt.Errorf("customer %s is homed on %s in %s and on %s in %s: no try leaves it so; find out who wrote the "+
				"fence table",
				k.Slice.Customer.ID, home.Home(), k.Slice.Databases[0].Name, rec.Home(), k.Slice.Databases[i].Name)
		}
	}
	return home, nil
}

// Settled is Read, after the repair of a try that was terminated, reset or superseded between its
// steps. No cancel keeps it from that. Without an error the customer is open on one side and sealed
// on the other.
func (k *Keeper) Settled(ctx workflow.Context, why string) (migration.HomeRecord, error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	rec, err := k.Read(ctx)
	if err != nil || rec.Settled() {
		return rec, err
	}
	return k.settledBy(ctx, k.Repair(ctx, rec.Home(), why))
}

// leap is by how much Disown raises the token. Each try takes two tokens, and one that ends in its
// checks leaves none in the data: this is as many such tries in a row as nobody makes.
const leap = 1000

// Disown is Settled for somebody who has forgotten which tries there were, and of whom one may
// still be under way: it claims the home under a token that is newer than any of theirs. None of
// them can fence, seal or open any more, and the record answers for what they had done by then.
func (k *Keeper) Disown(ctx workflow.Context, why string) (migration.HomeRecord, error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	rec, err := k.Read(ctx)
	if err != nil {
		return rec, err
	}
	k.Token += leap
	r := k.Repair(ctx, rec.Home(), why)
	if r.Outcome == migration.MoveGaveUp {
		return rec, fmt.Errorf("a Move of before may still be under way, and could not be ended: %s", r.Reason)
	}
	return k.settledBy(ctx, r)
}

// settledBy reads what a repair has left.
func (k *Keeper) settledBy(ctx workflow.Context, r migration.MoveResult) (migration.HomeRecord, error) {
	rec, err := k.Read(ctx)
	if err == nil && !rec.Settled() {
		return rec, fmt.Errorf("it may be closed on both sides, and its repair did not succeed: %s", r.Reason)
	}
	return rec, err
}
