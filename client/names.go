package client

import (
	"context"
	"slices"
)

// Names of what there is, for whoever completes what a person types. What cannot be read is left
// out: a shell that asks for names has no place for an error.

// Plans are the names of the plans that were submitted, the newest first.
func (c *Client) Plans(ctx context.Context) []string { return c.plans(ctx) }

// Batches are the names of a plan's batches, in their order, also of those that have not begun.
func (c *Client) Batches(ctx context.Context, plan string) (out []string) {
	s, err := c.Migration(ctx, plan)
	if err != nil {
		return nil
	}
	for _, b := range s.Batches {
		out = append(out, b.Name)
	}
	return out
}

// Customers are the ids of a plan's customers whose workflow has begun, each once however many runs
// it had.
func (c *Client) Customers(ctx context.Context, plan string) []string {
	ids := c.customers(ctx, plan)
	slices.Sort(ids)
	return slices.Compact(ids)
}
