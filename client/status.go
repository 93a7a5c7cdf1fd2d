package client

import (
	"context"
	"errors"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/drover-migration/drover/migration"
)

// pageSize is how many customers one query asks for: their statuses without timelines stay far
// below Temporal's 2 MiB a payload.
const pageSize = 500

// Status is a migration with all customers of all its batches, as far as the batches have started.
func (c *Client) Status(ctx context.Context, plan string) (migration.MigrationStatus, error) {
	ctx, cancel := within(ctx, DefaultTimeout)
	defer cancel()
	s, err := c.Migration(ctx, plan)
	if err != nil {
		return s, err
	}
	for i, b := range s.Batches {
		full, err := c.Batch(ctx, plan, b.Name)
		if errors.Is(err, ErrNotFound) {
			continue // it has not started, or Temporal's retention has passed: the migration's own word stands
		}
		if err != nil {
			return s, err
		}
		full.Finalised, full.MayEnd = b.Finalised, b.MayEnd // the migration's to say
		s.Batches[i] = full
	}
	work, err := c.Work(ctx, s)
	work.Tell(&s)
	s.Messages = c.messagesOf(ctx, s.Plan, "")
	return s, err
}

// Migration is where a plan stands, its batches without customers.
func (c *Client) Migration(ctx context.Context, plan string) (migration.MigrationStatus, error) {
	var s migration.MigrationStatus
	err := c.query(ctx, migration.MigrationID(plan), &s, migration.Page{})
	return s, c.missing(ctx, problem("read the status of plan "+plan, err), Aim{Plan: plan})
}

// Batch is where a batch stands, with all its customers.
func (c *Client) Batch(ctx context.Context, plan, batch string) (migration.BatchStatus, error) {
	ctx, cancel := within(ctx, DefaultTimeout)
	defer cancel()
	var out migration.BatchStatus
	for offset := 0; ; {
		var page migration.BatchStatus
		if err := c.query(ctx, migration.BatchID(plan, batch), &page, migration.Page{Offset: offset, Limit: pageSize}); err != nil {
			at := Aim{Plan: plan, Batch: batch}
			return out, c.missing(ctx, problem("read the status of "+at.String(), err), at)
		}
		page.Customers = append(out.Customers, page.Customers...)
		out = page
		if page.Next <= offset { // 0 at the end; anything else that does not lead on would loop
			out.Next = 0
			p, err := c.pendingOf(ctx, migration.BatchID(plan, batch))
			out.Trying, out.Workflow = p.trying, p.execution
			return out, err
		}
		offset = page.Next
	}
}

// Customer is everything that may be known of a customer.
func (c *Client) Customer(ctx context.Context, plan, id string) (migration.CustomerStatus, error) {
	var s migration.CustomerStatus
	err := c.query(ctx, migration.CustomerID(plan, id), &s)
	at := Aim{Plan: plan, Customer: id}
	if err != nil {
		return s, c.missing(ctx, problem("read the status of "+at.String(), err), at)
	}
	p, err := c.pendingOf(ctx, migration.CustomerID(plan, id))
	s.Trying = append(s.Trying, p.trying...)
	s.Messages = c.messagesOf(ctx, plan, id)
	return s, err
}

// Messages are those of a customer, or of the whole plan where no customer is named. A plan that
// sends none is ErrNotFound.
func (c *Client) Messages(ctx context.Context, plan, customer string) (migration.MessagesStatus, error) {
	var s migration.MessagesStatus
	err := c.query(ctx, migration.OutboxID(plan), &s, migration.MessagesOf{Customer: customer})
	return s, problem("read the messages of plan "+plan, err)
}

// messagesOf are a status' messages; nil: the plan sends none. That they cannot be read is no
// reason to show nothing else.
func (c *Client) messagesOf(ctx context.Context, plan, customer string) *migration.MessagesStatus {
	s, err := c.Messages(ctx, plan, customer)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return &migration.MessagesStatus{Phase: migration.OutboxUnread}
	}
	return &s
}

func (c *Client) query(ctx context.Context, workflow string, into any, args ...any) error {
	ctx, cancel := within(ctx, DefaultTimeout)
	defer cancel()
	v, err := c.temporal.QueryWorkflow(ctx, workflow, "", migration.QueryStatus, args...)
	if err != nil {
		return err
	}
	return v.Get(into)
}

// Running is the Execution of a workflow that goes on.
const Running = "Running"

// Completed is the Execution of a workflow that came to its own end.
const Completed = "Completed"

// Execution is what Temporal says of a plan's workflow, a batch's or a customer's, without asking a
// worker: Running, Completed, Failed, Terminated, ...
func (c *Client) Execution(ctx context.Context, at Aim) (string, error) {
	ctx, cancel := within(ctx, DefaultTimeout)
	defer cancel()
	execution, err := c.execution(ctx, at)
	return execution, c.missing(ctx, problem("look up "+at.String(), err), at)
}

func (c *Client) execution(ctx context.Context, at Aim) (string, error) {
	d, err := c.temporal.DescribeWorkflowExecution(ctx, at.workflow(), "")
	if err != nil {
		return "", err
	}
	return executionOf(d.GetWorkflowExecutionInfo().GetStatus()), nil
}

func executionOf(s enumspb.WorkflowExecutionStatus) string {
	if s == enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
		return Running // between two runs
	}
	return s.String()
}
