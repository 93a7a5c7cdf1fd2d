package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/drover-migration/drover/migration"
)

// Aim is what a retry or a rollback is about: a customer, a batch, or with neither the whole plan.
type Aim struct {
	Plan     string
	Batch    string
	Customer string
}

func (a Aim) workflow() string {
	switch {
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

// update sends a command and returns once it is recorded, which is quick: what it sets off goes on in the workflow. A command
// without a request id gets one; to repeat a command safely, repeat its id.
func (c *Client) update(ctx context.Context, name string, at Aim, cmd migration.Command) (migration.Accepted, error) {
	doing := name + " " + at.String()
	if cmd.RequestID == "" {
		cmd.RequestID = uuid.NewString()
	}
	ctx, cancel := within(ctx, DefaultTimeout)
	defer cancel()
	var out migration.Accepted
	h, err := c.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		UpdateID: cmd.RequestID, WorkflowID: at.workflow(), UpdateName: name, Args: []any{cmd}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = h.Get(ctx, &out)
	}
	if err == nil {
		return out, nil
	}
	return out, c.updateProblem(ctx, doing, at, err)
}

// updateProblem tells a workflow that has ended from one that never was, and says what may be done instead.
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
		d, e := c.temporal.DescribeWorkflowExecution(ctx, at.workflow(), "")
		if e == nil && d.GetWorkflowExecutionInfo().GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
			p.Kind = ErrRefused
			p.Why = fmt.Sprintf("it has ended (%s)", d.GetWorkflowExecutionInfo().GetStatus())
			p.Next = fmt.Sprintf("see how with `%s`; a plan that has ended can be submitted again, customers that are finished are not touched", at.statusCommand())
			return err
		}
		switch {
		case at.Customer != "":
			return noCustomer(err, at.Plan)
		case at.Batch != "":
			return noBatch(err, at.Plan)
		default:
			return notFound(err, "no plan of this name was submitted", "list the plans with `drover status`")
		}
	}
	return err
}

func (a Aim) statusCommand() string {
	s := "drover status " + a.Plan
	switch {
	case a.Customer != "":
		s += " --customer " + a.Customer
	case a.Batch != "":
		s += " --batch " + a.Batch
	}
	return s
}
