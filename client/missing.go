package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/drover-migration/drover/internal/spelling"
	"github.com/drover-migration/drover/migration"
)

// missing says of a workflow that is not there which part of its name is wrong, and which name is
// near. Every other error is left as it is.
func (c *Client) missing(ctx context.Context, err error, at Aim) error {
	var p *Problem
	if !errors.As(err, &p) || !errors.Is(p.Kind, ErrNotFound) || p.Next == nextNamespace {
		return err
	}
	_, e := c.execution(ctx, Aim{Plan: at.Plan})
	var none *serviceerror.NotFound
	switch {
	case e != nil && !errors.As(e, &none):
	case e != nil:
		p.Why, p.Next = fmt.Sprintf("no plan %q was submitted", at.Plan), "list the plans with `drover status`"
		mean(p, at.Plan, c.Plans(ctx))
	case at.Message != "":
		p.Why, p.Next = "the plan sends no messages", "add notify: to a plan before it is submitted; docs/messages.md says how"
	case at.Customer != "":
		p.Why, p.Next = fmt.Sprintf("the plan has no customer %q, or it has not started", at.Customer),
			fmt.Sprintf("list the customers with `drover status %s`", at.Plan)
		mean(p, at.Customer, c.Customers(ctx, at.Plan))
	case at.Batch != "":
		p.Why, p.Next = fmt.Sprintf("the plan has no batch %q, or it has not started", at.Batch),
			fmt.Sprintf("list the batches with `drover status %s`", at.Plan)
		if s, e := c.Migration(ctx, at.Plan); e == nil {
			c.noBatch(p, at, s)
		}
	}
	return err
}

// noBatch tells a batch that has not started from one that the plan does not have.
func (c *Client) noBatch(p *Problem, at Aim, s migration.MigrationStatus) {
	names := batchNames(s)
	if slices.Contains(names, at.Batch) {
		p.Why, p.Next = "the batch has not started", fmt.Sprintf("see what goes before it with `drover status %s`", at.Plan)
		return
	}
	p.Why = fmt.Sprintf("the plan has no batch %q", at.Batch)
	mean(p, at.Batch, names)
}

// mean adds the name that was probably meant to what is to be done.
func mean(p *Problem, word string, names []string) {
	if best := spelling.Nearest(word, names); best != "" {
		p.Next = fmt.Sprintf("did you mean %q? Else %s", best, p.Next)
	}
}

// Running are the ids of a batch's customers whose workflow runs, as the list of workflows has
// them, which may be behind by some moments.
func (c *Client) Running(ctx context.Context, plan, batch string) ([]string, error) {
	out, err := c.list(ctx, plan, fmt.Sprintf("WorkflowType = 'Customer' AND %s = '%s' AND %s = '%s' AND ExecutionStatus = 'Running'",
		migration.AttrPlan, bare(plan), migration.AttrBatch, bare(batch)))
	if err != nil {
		return nil, fmt.Errorf("list the customers of batch %s of plan %s that run: %w", batch, plan, err)
	}
	return out, nil
}

func bare(name string) string { return strings.ReplaceAll(name, "'", "") }

// list are the ids of a plan's customers that a query finds. An error comes with those that were
// read.
func (c *Client) list(ctx context.Context, plan, query string) (out []string, err error) {
	req := &workflowservice.ListWorkflowExecutionsRequest{Query: query}
	for {
		page, err := c.temporal.ListWorkflow(ctx, req)
		if err != nil {
			return out, err
		}
		for _, e := range page.GetExecutions() {
			out = append(out, strings.TrimPrefix(e.GetExecution().GetWorkflowId(), migration.CustomerID(plan, "")))
		}
		if req.NextPageToken = page.GetNextPageToken(); len(req.NextPageToken) == 0 {
			return out, nil
		}
	}
}
