package customer

import (
	"errors"
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
	tryPause     = time.Second // before the second try of a Move; doubles
	tryPauseMost = 30 * time.Second
)

// end is how the tries of a Move ended.
type end int

const (
	arrived end = iota // at the destination
	stayed             // at the origin, open: the tries are spent, or somebody wants something else
	unknown            // its home has to be found
)

// move tries until the customer is homed at to, the tries are spent, or somebody wants something
// else. Before each try it settles what an earlier one left between its steps, unless it is sure
// that none has: a Move asks by itself whether the customer is where it is to leave from. Why the
// last one failed is in c.Why.
func (c *customer) move(ctx workflow.Context, to migration.Side, tries int) end {
	c.halted = false
	for {
		if !c.sure || c.Home == to {
			rec, err := c.settledHome(ctx, "an earlier try did not finish")
			if err != nil {
				return c.lost(ctx, err)
			}
			moved := c.Home != rec.Home()
			c.learn(ctx, rec)
			if rec.Home() == to {
				if moved { // by a try that did not live to say so
					c.Moves = append(c.Moves, migration.MoveResult{Outcome: migration.MoveDone, Try: migration.Try{Token: rec.Token()},
						From: to.Other(), To: to, Home: to, Reason: c.Why, Requests: c.uncounted()})
				}
				c.setUnrouted(c.routedHere(ctx, home.RouteLimit(c.slice)))
				if moved {
					c.owe(ctx, to, rec.Side(to).Token)
				}
				return arrived
			}
		}
		if c.Tries > 0 && c.Tries < tries && !c.halted && !c.wanted() {
			c.Reason = c.Why
			c.Show(ctx)
			work.AwaitFor(ctx, min(tryPause<<min(c.Tries-1, 10), tryPauseMost), "before the next try", c.wanted)
		}
		if c.Tries >= tries || c.halted || c.wanted() || ctx.Err() != nil {
			return stayed
		}
		c.Tries++
		if c.try(ctx, to) {
			return arrived
		}
	}
}

// lost is where nobody knows what the last try did: only the data knows, and it is asked until it
// answers.
func (c *customer) lost(ctx workflow.Context, err error) end {
	if errors.As(err, new(*home.UndecidedError)) {
		c.Why = work.Reason(err)
		return stayed
	}
	c.Resume = c.Phase
	c.Set(ctx, migration.CustomerFinding, migration.WaitData, "its home cannot be read, and is asked again: "+work.Reason(err))
	return unknown
}

// try runs one Move and says whether it arrived. One that did not say how it ended is repaired.
func (c *customer) try(ctx workflow.Context, to migration.Side) bool {
	c.sure = false
	token := c.Token + 1
	c.Token = token + 1 // a Move resolves its doubts under the token after its own
	in := move.Input{Spec: c.in.Spec, Slice: c.slice, From: to.Other(), To: to, Token: token,
		Led: to == migration.OnPrem && c.Unled}
	if to == migration.AWS { // on the way home it has been noted
		note := c.noted(c.memory())
		in.Note = &note
	}
	cctx := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: migration.MoveID(c.in.Spec.Plan, c.in.ID, token), TaskQueue: migration.QueueFreeze,
		WorkflowTaskTimeout: work.MovePatience, WaitForCancellation: true,
		ParentClosePolicy: enums.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
		StaticSummary:     fmt.Sprintf("%s to %s, try %d", c.in.ID, to, c.Tries),
		TypedSearchAttributes: temporal.NewSearchAttributes(status.AttrPlan.ValueSet(c.in.Spec.Plan), status.AttrCustomer.ValueSet(c.in.ID),
			status.AttrBatch.ValueSet(c.in.Batch), status.AttrHome.ValueSet(string(c.Home))),
	})
	var result migration.MoveResult
	if err := workflow.ExecuteChildWorkflow(cctx, move.Move, in).Get(cctx, &result); err != nil {
		count(ctx, to, migration.MoveRepaired)
		c.Why = "repaired after: " + work.Reason(err)
		c.repair(ctx, in.From, work.Reason(err))
		return false
	}
	c.Token = max(c.Token, result.Try.Token)
	count(ctx, to, result.Outcome)
	for _, why := range result.Missed {
		c.Note(ctx, "a hook was passed over on the way home", migration.Command{By: mail.ByDrover, Reason: why})
	}
	c.halted = result.Hold != ""
	if result.Outcome != migration.MoveDone {
		c.Why = result.Reason
		c.Note(ctx, fmt.Sprintf("try %d to %s %s while %s", c.Tries, to, result.Outcome, result.Step), migration.Command{Reason: c.Why})
		return false
	}
	c.Home, c.sure = to, true // the list of workflows hears it with the phase that follows
	c.Stay, c.Notes, c.Unrouted, c.Unled = token, 0, result.Unrouted, result.Unrouted != ""
	result.Requests = c.toCount(ctx, result)
	c.Moves = append(c.Moves, result)
	c.owe(ctx, to, token)
	if c.slice.Stateless() {
		c.shifted(result.Try, result.Weight)
		c.Note(ctx, "homed on "+string(to), migration.Command{Reason: c.weighs()})
		return true
	}
	measured(ctx, result)
	c.Note(ctx, fmt.Sprintf("homed on %s, frozen for %s, predicted %s", to, result.Freeze.D().Round(time.Millisecond),
		result.Predicted.D().Round(time.Millisecond)), migration.Command{})
	return true
}
