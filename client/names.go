package client

import (
	"context"
	"fmt"
	"slices"

	"github.com/drover-migration/drover/migration"
)

// Names of what there is, for whoever completes what a person types. What cannot be read is left
// out: a shell that asks for names has no place for an error.

// Plans are the names of the plans that were submitted, the newest first.
func (c *Client) Plans(ctx context.Context) (out []string) {
	list, err := c.List(ctx)
	if err != nil {
		return nil
	}
	for _, s := range list {
		out = append(out, s.Plan)
	}
	return out
}

// Batches are the names of a plan's batches, in their order, also of those that have not begun.
func (c *Client) Batches(ctx context.Context, plan string) []string {
	s, err := c.Migration(ctx, plan)
	if err != nil {
		return nil
	}
	return batchNames(s)
}

func batchNames(s migration.MigrationStatus) (out []string) {
	for _, b := range s.Batches {
		out = append(out, b.Name)
	}
	return out
}

// Asks are the ids of what waits for somebody and nobody looks after yet.
func (c *Client) Asks(ctx context.Context, plan string) (out []string) {
	s, err := c.Messages(ctx, plan, "")
	if err != nil {
		return nil
	}
	for _, a := range s.Asks {
		if a.Taken == nil {
			out = append(out, a.ID)
		}
	}
	return out
}

// Customers are the ids of a plan's customers whose workflow has begun, each once however many runs
// it had.
func (c *Client) Customers(ctx context.Context, plan string) []string {
	ids, _ := c.list(ctx, plan, fmt.Sprintf("WorkflowType = 'Customer' AND %s = '%s'", migration.AttrPlan, bare(plan)))
	slices.Sort(ids)
	return slices.Compact(ids)
}
