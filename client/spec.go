package client

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/drover-migration/drover/migration"
)

// Spec is the compiled plan that a migration was submitted with. It is read from the history of the
// migration's first run and needs no worker. ErrNotFound: there is no such plan, or Temporal no
// longer keeps that run.
func (c *Client) Spec(ctx context.Context, plan string) (*migration.Spec, error) {
	at := Aim{Plan: plan}
	doing := "read what was submitted as " + at.String()
	ctx, cancel := within(ctx, DefaultTimeout)
	defer cancel()
	d, err := c.temporal.DescribeWorkflowExecution(ctx, at.workflow(), "")
	if err != nil {
		return nil, c.missing(ctx, problem(doing, err), at)
	}
	events := c.temporal.GetWorkflowHistory(ctx, at.workflow(), d.GetWorkflowExecutionInfo().GetFirstRunId(), false,
		enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if !events.HasNext() {
		return nil, &Problem{Kind: ErrNotFound, Doing: doing, Why: "its history is empty"}
	}
	first, err := events.Next()
	var gone *serviceerror.NotFound
	switch {
	case errors.As(err, &gone):
		return nil, &Problem{Kind: ErrNotFound, Doing: doing, Why: "Temporal no longer keeps the migration's first run", Err: err}
	case err != nil:
		return nil, problem(doing, err)
	}
	var in migration.MigrationInput
	if err := c.payloads.FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in); err != nil {
		return nil, &Problem{Doing: doing, Why: fmt.Sprintf("it cannot be read: %v", err), Err: err}
	}
	if in.Spec == nil {
		return nil, &Problem{Kind: ErrNotFound, Doing: doing, Why: "the migration was started without its plan"}
	}
	return in.Spec, nil
}
