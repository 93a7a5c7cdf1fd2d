package client

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/drover-migration/drover/migration"
)

// pageSize is how many customers one query asks for: their statuses without timelines stay far below Temporal's 2 MiB a payload.
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
		s.Batches[i] = full
	}
	return s, nil
}

// Migration is where a plan stands, its batches without customers.
func (c *Client) Migration(ctx context.Context, plan string) (migration.MigrationStatus, error) {
	var s migration.MigrationStatus
	err := c.query(ctx, migration.MigrationID(plan), &s, migration.Page{})
	return s, notFound(problem("read the status of plan "+plan, err), "no plan of this name was submitted", "list the plans with `drover status`")
}

// Batch is where a batch stands, with all its customers.
func (c *Client) Batch(ctx context.Context, plan, batch string) (migration.BatchStatus, error) {
	ctx, cancel := within(ctx, DefaultTimeout)
	defer cancel()
	var out migration.BatchStatus
	for offset := 0; ; {
		var page migration.BatchStatus
		if err := c.query(ctx, migration.BatchID(plan, batch), &page, migration.Page{Offset: offset, Limit: pageSize}); err != nil {
			return out, noBatch(problem(fmt.Sprintf("read the status of batch %s of plan %s", batch, plan), err), plan)
		}
		page.Customers = append(out.Customers, page.Customers...)
		out = page
		if page.Next <= offset { // 0 at the end; anything else that does not lead on would loop
			out.Next = 0
			return out, nil
		}
		offset = page.Next
	}
}

// Customer is everything that may be known of a customer.
func (c *Client) Customer(ctx context.Context, plan, id string) (migration.CustomerStatus, error) {
	var s migration.CustomerStatus
	err := c.query(ctx, migration.CustomerID(plan, id), &s)
	return s, noCustomer(problem(fmt.Sprintf("read the status of customer %s of plan %s", id, plan), err), plan)
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

func noBatch(err error, plan string) error {
	return notFound(err, "there is no such batch, or it has not started", fmt.Sprintf("list the batches with `drover status %s`", plan))
}

func noCustomer(err error, plan string) error {
	return notFound(err, "there is no such customer, or it has not started", fmt.Sprintf("list the customers with `drover status %s`", plan))
}

// notFound replaces Temporal's words where a workflow is missing, and leaves every other error as it is.
func notFound(err error, why, next string) error {
	var p *Problem
	if errors.As(err, &p) && errors.Is(p.Kind, ErrNotFound) {
		p.Why, p.Next = why, next
	}
	return err
}

// Running is the Execution of a migration that goes on.
const Running = "Running"

// Execution is what Temporal says of a plan's workflow, without asking a worker: Running, Completed, Failed, Terminated, ...
func (c *Client) Execution(ctx context.Context, plan string) (string, error) {
	ctx, cancel := within(ctx, DefaultTimeout)
	defer cancel()
	d, err := c.temporal.DescribeWorkflowExecution(ctx, migration.MigrationID(plan), "")
	if err != nil {
		return "", notFound(problem("look up plan "+plan, err), "no plan of this name was submitted", "list the plans with `drover status`")
	}
	status := d.GetWorkflowExecutionInfo().GetStatus()
	if status == enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
		return Running, nil // between two runs
	}
	return status.String(), nil
}
