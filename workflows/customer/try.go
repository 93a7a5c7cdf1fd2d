package customer

import (
	"fmt"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/home"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/move"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	tryPause      = time.Second // before the second try of a Move; doubles
	tryPauseMost  = 30 * time.Second
	yieldPatience = 30 * time.Second // how long a running pass may take to step aside for a Move
)

// move tries until the customer is homed at to, the tries are spent, or somebody wants something else. It settles what a try left between
// its steps before the next one, and after the last: the customer is open when it waits.
func (c *customer) move(ctx workflow.Context, to migration.Side, tries int) (why string, arrived bool) {
	c.yield(ctx)
	defer func() { c.release(ctx) }()
	unwanted := func() bool { return to == migration.AWS && (c.abort != nil || c.back != nil || c.hold != nil) }
	for c.Tries = 0; ; {
		rec, err := c.settledHome(ctx, "an earlier try did not finish")
		if c.Tries > 0 && work.Unanswered(err) { // only the data knows what the try has done
			c.Set(ctx, c.Phase, migration.WaitData, "what the last try did is asked until it is known: "+work.Reason(err))
			continue
		}
		if err != nil {
			return work.Reason(err), false
		}
		moved := c.Home != rec.Home()
		c.setHome(ctx, rec.Home())
		if rec.Home() == to && rec.Settled() {
			if err := home.Follow(ctx, c.in.Spec, c.slice); err != nil {
				return work.Reason(err), false
			}
			if moved { // by a try that did not live to say so
				c.Moves = append(c.Moves, migration.MoveResult{Outcome: migration.MoveDone, Try: migration.Try{Token: rec.Token()}, From: to.Other(), To: to, Home: to, Reason: why})
			}
			return "", true
		}
		if c.Tries > 0 && c.Tries < tries && !unwanted() {
			c.Reason = why
			c.Show(ctx)
			work.AwaitFor(ctx, min(tryPause<<min(c.Tries-1, 10), tryPauseMost), "before the next try", unwanted)
		}
		if c.Tries == 0 && unwanted() {
			return "", false
		}
		if c.Tries > 0 && (c.Tries >= tries || unwanted()) {
			why = fmt.Sprintf("after %d tries: %s", c.Tries, why)
			if !rec.Settled() {
				why += "; the last could not be repaired, and the customer may be closed on both sides: retry repairs it"
			}
			return why, false
		}
		if ctx.Err() != nil {
			return "canceled", false
		}
		c.Tries++
		result := c.try(ctx, to)
		c.Token = max(c.Token, result.Try.Token)
		if result.Outcome == migration.MoveDone {
			c.setHome(ctx, to)
			c.Moves = append(c.Moves, result)
			c.Note(ctx, fmt.Sprintf("homed on %s, frozen for %s, predicted %s", to, result.Freeze.D().Round(time.Millisecond), result.Predicted.D().Round(time.Millisecond)), migration.Command{})
			return "", true
		}
		why = result.Reason
		c.Note(ctx, fmt.Sprintf("try %d to %s %s while %s", c.Tries, to, result.Outcome, result.Step), migration.Command{Reason: why})
	}
}

// try runs one Move, and repairs after one that did not say how it ended.
func (c *customer) try(ctx workflow.Context, to migration.Side) migration.MoveResult {
	token := c.Token + 1
	c.Token = token + 1 // a Move resolves its doubts under the token after its own
	in := move.Input{Spec: c.in.Spec, Slice: c.slice, From: to.Other(), To: to, Token: token}
	cctx := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: migration.MoveID(c.in.Spec.Plan, c.in.ID, token), WorkflowTaskTimeout: work.TaskPatience, WaitForCancellation: true, ParentClosePolicy: enums.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
		StaticSummary: fmt.Sprintf("%s to %s, try %d", c.in.ID, to, c.Tries),
		TypedSearchAttributes: temporal.NewSearchAttributes(status.AttrPlan.ValueSet(c.in.Spec.Plan), status.AttrCustomer.ValueSet(c.in.ID), status.AttrBatch.ValueSet(c.in.Batch),
			status.AttrPhase.ValueSet(string(migration.StepChecking)), status.AttrWaiting.ValueSet(string(migration.WaitNothing)), status.AttrHome.ValueSet(string(c.Home))),
	})
	var result migration.MoveResult
	if err := workflow.ExecuteChildWorkflow(cctx, move.Move, in).Get(cctx, &result); err != nil {
		return c.repair(ctx, in.From, work.Reason(err))
	}
	return result
}

// yield asks the file passes over this customer's data to step aside, and waits until they have.
func (c *customer) yield(ctx workflow.Context) {
	for _, d := range c.slice.Files {
		c.asked[d.Name] = false
		c.Tell(ctx, migration.ReplicationID(c.in.Spec.Plan, d.Name), mail.SignalYield, mail.Yield{Customer: c.in.ID, ReplyTo: migration.CustomerID(c.in.Spec.Plan, c.in.ID)})
	}
	// A pass that does not answer is no danger (its late writes are conditional), only slow: the Move's own last pass decides.
	work.AwaitFor(ctx, yieldPatience, "until the passes over the files step aside", func() bool {
		for _, d := range c.slice.Files {
			if !c.asked[d.Name] {
				return false
			}
		}
		return true
	})
}

func (c *customer) release(ctx workflow.Context) {
	for _, d := range c.slice.Files {
		c.Tell(ctx, migration.ReplicationID(c.in.Spec.Plan, d.Name), mail.SignalRelease, mail.Release{Customer: c.in.ID, Home: c.Home, Token: c.Token})
	}
}

// keeper reads and repairs the customer's home.
func (c *customer) keeper() *home.Keeper {
	return &home.Keeper{Spec: c.in.Spec, Slice: c.slice, Home: c.Home, Token: c.Token, Note: func(ctx workflow.Context, what, because string) {
		c.Note(ctx, what, migration.Command{Reason: because})
	}}
}

// readHome asks the data where the customer is homed.
func (c *customer) readHome(ctx workflow.Context) (migration.HomeRecord, error) {
	k := c.keeper()
	defer func() { c.Token = k.Token }()
	return k.Read(ctx)
}

// settledHome is readHome, after the repair of what a try left between its steps.
func (c *customer) settledHome(ctx workflow.Context, why string) (migration.HomeRecord, error) {
	k := c.keeper()
	defer func() { c.Token = k.Token }()
	return k.Settled(ctx, why)
}

// repair settles a Move that did not say how it ended.
func (c *customer) repair(ctx workflow.Context, from migration.Side, why string) migration.MoveResult {
	k := c.keeper()
	defer func() { c.Token = k.Token }()
	return k.Repair(ctx, from, why)
}
