package home

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/homes"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// readRecord is Read of a customer without a database.
func (k *Keeper) readRecord(ctx workflow.Context) (rec migration.HomeRecord, err error) {
	c := work.Record.In(ctx, "read the home record of "+k.Slice.Customer.ID)
	req := homes.Request{Spec: k.Spec, Customer: k.Slice.Customer.ID}
	if err := workflow.ExecuteActivity(c, work.Homes.ReadHomeRecord, req).Get(c, &rec); err != nil {
		return rec, err
	}
	k.Token = max(k.Token, rec.Token())
	if why := rec.Undecided(); why != "" {
		return rec, &UndecidedError{Words: why}
	}
	return rec, nil
}

// Commit homes a customer without a database on the other side of its origin, with a share of its
// requests: one write, which is there or is not. It answers what the record says then. Where the
// answer is lost, ClaimRecord settles it.
func (t Try) Commit(ctx workflow.Context, weight int, note *migration.Note) (migration.HomeRecord, error) {
	to := t.From.Other()
	c := work.Record.In(ctx, fmt.Sprintf("home %s on %s", t.Slice.Customer.ID, to))
	req := homes.CommitRequest{Request: t.request(), To: to, Weight: weight, Try: t.Try, Note: note}
	var r homes.StepResult
	if err := workflow.ExecuteActivity(c, work.Homes.CommitHome, req).Get(c, &r); err != nil {
		return r.Record, err
	}
	return r.Record, recorded("home it on "+string(to), r.Word)
}

// Weigh raises the share of its requests that goes to AWS, of a customer that this try homed there.
// It answers what the record says then.
func (t Try) Weigh(ctx workflow.Context, weight int) (migration.HomeRecord, error) {
	c := work.Record.In(ctx, fmt.Sprintf("send %d %% of the requests of %s to AWS", weight, t.Slice.Customer.ID))
	req := homes.WeighRequest{Request: t.request(), Weight: weight, Try: t.Try}
	var r homes.StepResult
	if err := workflow.ExecuteActivity(c, work.Homes.WeighHome, req).Get(c, &r); err != nil {
		return r.Record, err
	}
	return r.Record, recorded("change its weight", r.Word)
}

// ClaimRecord ends every older try of a customer without a database: what any of them still writes
// changes nothing. It answers where they have left it.
func (t Try) ClaimRecord(ctx workflow.Context) (migration.HomeRecord, error) {
	c := work.Record.In(ctx, "claim the home record of "+t.Slice.Customer.ID)
	var r homes.StepResult
	if err := workflow.ExecuteActivity(c, work.Homes.ClaimHome, homes.ClaimRequest{Request: t.request(), Try: t.Try}).Get(c,
		&r); err != nil {
		return r.Record, err
	}
	return r.Record, recorded("claim", r.Word)
}

func (t Try) request() homes.Request {
	return homes.Request{Spec: t.Spec, Customer: t.Slice.Customer.ID}
}

// recorded is the error behind a word of the home record's that ends a try.
func recorded(step string, w migration.Word) error {
	switch w {
	case migration.WordOpen:
		return nil
	case migration.WordSuperseded:
		return fmt.Errorf("%s: %w", step, ErrSuperseded)
	case migration.WordSealed:
		return fmt.Errorf("%s: it is homed there already", step)
	default:
		return fmt.Errorf("%s: its home record answered %q", step, w)
	}
}
