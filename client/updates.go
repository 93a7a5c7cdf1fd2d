package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/migration"
)

// Aim is what a command is about: a customer, a batch, what a message asks for, or with none of
// them the whole plan.
type Aim struct {
	Plan     string
	Batch    string
	Customer string
	Message  string // the id of what waits, or the key of a message that tells of it
	Doctor   bool   // the plan's doctor, which waits for the command
}

func (a Aim) workflow() string {
	switch {
	case a.Doctor:
		return migration.DoctorID(a.Plan)
	case a.Message != "":
		return migration.OutboxID(a.Plan)
	case a.Customer != "":
		return migration.CustomerID(a.Plan, a.Customer)
	case a.Batch != "":
		return migration.BatchID(a.Plan, a.Batch)
	default:
		return migration.MigrationID(a.Plan)
	}
}

func (a Aim) String() string {
	switch {
	case a.Doctor:
		return "customers of plan " + a.Plan
	case a.Message != "":
		return fmt.Sprintf("message %s of plan %s", a.Message, a.Plan)
	case a.Customer != "":
		return fmt.Sprintf("customer %s of plan %s", a.Customer, a.Plan)
	case a.Batch != "":
		return fmt.Sprintf("batch %s of plan %s", a.Batch, a.Plan)
	default:
		return "plan " + a.Plan
	}
}

// Approve adds one person's approval to a batch's gate.
func (c *Client) Approve(ctx context.Context, plan, batch string, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateApprove, Aim{Plan: plan, Batch: batch}, cmd)
}

// Pause stops the admission of customers; Moves that run go on.
func (c *Client) Pause(ctx context.Context, plan string, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdatePause, Aim{Plan: plan}, cmd)
}

// Resume undoes Pause, also where the migration paused itself.
func (c *Client) Resume(ctx context.Context, plan string, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateResume, Aim{Plan: plan}, cmd)
}

// Abort ends the migration: nothing more is admitted.
func (c *Client) Abort(ctx context.Context, plan string, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateAbort, Aim{Plan: plan}, cmd)
}

// Finalise ends the way back for good.
func (c *Client) Finalise(ctx context.Context, plan string, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateFinalise, Aim{Plan: plan}, cmd)
}

// ChangeSchema gives both sides of a database of the plan a change of their schema, which the
// command's Schema is. It returns when that is made, or refused.
func (c *Client) ChangeSchema(ctx context.Context, plan string, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateSchema, Aim{Plan: plan}, cmd)
}

// Resolve says of what was found of a writer, the command's Finding, that it may be as it is.
func (c *Client) Resolve(ctx context.Context, plan string, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateResolve, Aim{Plan: plan}, cmd)
}

// Skip leaves a customer on premises for good: its batch is over without it.
func (c *Client) Skip(ctx context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateSkip, Aim{Plan: plan, Customer: customer}, cmd)
}

// Hold keeps a customer from moving until a retry.
func (c *Client) Hold(ctx context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateHold, Aim{Plan: plan, Customer: customer}, cmd)
}

// Retry lets a customer, or a batch that was taken back, try again.
func (c *Client) Retry(ctx context.Context, at Aim, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateRetry, at, cmd)
}

// Rollback moves a customer, a batch's or all customers back to where they came from.
func (c *Client) Rollback(ctx context.Context, at Aim, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateRollback, at, cmd)
}

// Note writes down what somebody says about a customer: the command's reason, its ticket, or both.
func (c *Client) Note(ctx context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateNote, Aim{Plan: plan, Customer: customer}, cmd)
}

// Defer asks that a customer does not move before the command's time. A lead decides.
func (c *Client) Defer(ctx context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateDefer, Aim{Plan: plan, Customer: customer}, cmd)
}

// Decide accepts or refuses a deferral, or ends one that was accepted.
func (c *Client) Decide(ctx context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateDecide, Aim{Plan: plan, Customer: customer}, cmd)
}

// Offer offers the command's slots to a customer. They take the place of those that were offered
// before.
func (c *Client) Offer(ctx context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateOffer, Aim{Plan: plan, Customer: customer}, cmd)
}

// Take takes the command's one slot for a customer to which it was offered.
func (c *Client) Take(ctx context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateTake, Aim{Plan: plan, Customer: customer}, cmd)
}

// Ack says that somebody looks after what a message asks for: nobody else is told of it.
func (c *Client) Ack(ctx context.Context, plan, message string, cmd migration.Command) (migration.Accepted, error) {
	cmd.Message = message
	return c.update(ctx, migration.UpdateAck, Aim{Plan: plan, Message: message}, cmd)
}

// update sends a command and returns once it is recorded, which is quick: what it sets off goes on
// in the workflow. A command without a request id gets one; to repeat a command safely, repeat its
// id.
func (c *Client) update(ctx context.Context, name string, at Aim, cmd migration.Command) (migration.Accepted, error) {
	if cmd.RequestID == "" {
		cmd.RequestID = uuid.NewString()
	}
	ctx, cancel := within(ctx, DefaultTimeout)
	defer cancel()
	cmd.Until = until(ctx)
	if err := c.prove.sign(name, at, &cmd); err != nil {
		return migration.Accepted{}, err
	}
	// Each sending has an id of its own: a repeat must not be joined to a first one that is refused
	// because it is late.
	s := sending{client: c, at: at, doing: name + " " + at.String(), id: fmt.Sprintf("%s/%d", cmd.RequestID, cmd.Until.UnixMilli()),
		cmd: cmd}
	var out migration.Accepted
	h, err := c.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		UpdateID: s.id, WorkflowID: at.workflow(), UpdateName: name, Args: []any{cmd}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = h.Get(ctx, &out)
	}
	if err != nil && (ctx.Err() != nil || errors.Is(problem(s.doing, err), ErrUnreachable)) {
		return s.unanswered(ctx)
	}
	return out, c.updateProblem(ctx, s.doing, at, err)
}

// sign proves who gives a command, where the client is somebody's.
func (p prover) sign(update string, at Aim, cmd *migration.Command) error {
	if p.holder == nil {
		return nil
	}
	doing := update + " " + at.String()
	who := p.holder.Who()
	if cmd.By != who.Name {
		return &Problem{Kind: ErrRefused, Doing: doing, Why: fmt.Sprintf("%q is to ask, and %q has signed in", cmd.By, who.Name),
			Next: "give it under your own name"}
	}
	if !time.Now().Before(who.Expires) {
		return &Problem{Kind: ErrRefused, Doing: doing, Why: fmt.Sprintf("the sign-in of %s has run out", who.Name), Next: "sign in again"}
	}
	proof, err := p.holder.Sign(identity.Said{Namespace: p.namespace, Workflow: at.workflow(), Update: update, Command: *cmd})
	if err != nil {
		return problem(doing, err)
	}
	cmd.Proof = proof
	return nil
}

// updateProblem tells a workflow that has ended from one that never was, and says what may be done
// instead.
func (c *Client) updateProblem(ctx context.Context, doing string, at Aim, err error) error {
	err = problem(doing, err)
	var p *Problem
	if !errors.As(err, &p) {
		return err
	}
	switch {
	case errors.Is(p.Kind, ErrRefused):
		p.Next = "see what may be done now with `" + at.statusCommand() + "`"
	case errors.Is(p.Kind, ErrNotFound):
		execution, e := c.execution(ctx, at)
		if e != nil || execution == Running {
			return c.missing(ctx, err, at)
		}
		p.Kind, p.Why, p.Next = ErrRefused, fmt.Sprintf("it has ended (%s)", execution), c.goOn(ctx, at, execution)
	}
	return err
}

// goOn says what to do about a command for a workflow that has ended.
func (c *Client) goOn(ctx context.Context, at Aim, execution string) string {
	plan, err := c.execution(ctx, Aim{Plan: at.Plan})
	switch {
	case execution == Completed || err != nil:
		return fmt.Sprintf("see how with `%s`; a plan that has ended can be submitted again, customers that are finished are not touched",
			at.statusCommand())
	case plan == Running:
		return "it is started again within half a minute, from what its data says; see that with `" + at.statusCommand() +
			"`, then repeat the command"
	default:
		return "the migration does not run any more, and nobody starts it again: submit the plan again, then repeat the command"
	}
}

func (a Aim) statusCommand() string {
	s := "drover status " + a.Plan
	switch {
	case a.Message != "": // the plan's status shows what waits
	case a.Customer != "":
		s += " --customer " + a.Customer
	case a.Batch != "":
		s += " --batch " + a.Batch
	}
	return s
}
