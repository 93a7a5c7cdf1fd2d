package verify

import (
	"context"
	"fmt"
)

// Edge is where customers' requests arrive.
type Edge struct {
	// Sides are those that answer a customer's requests, one for each kind of path: onprem or aws.
	Sides func(ctx context.Context, host string) ([]string, error)
	// Stale are the targets that requests may be sent to and where nobody listens.
	Stale func(ctx context.Context) ([]string, error)
}

// verify wants each customer's requests to be answered at its home, and every target to be there.
func (e *Edge) verify(ctx context.Context, o Options, res *Result) error {
	for _, c := range o.Customers {
		sides, err := e.Sides(ctx, c.Host)
		if err != nil {
			res.violation("customer %s: its route was not answered: %v", c.ID, err)
			continue
		}
		for _, side := range sides {
			if side != res.Homes[c.ID] {
				res.violation("customer %s: its requests are answered on %s, its home is %s", c.ID, side, res.Homes[c.ID])
				break
			}
		}
	}
	stale, err := e.Stale(ctx)
	if err != nil {
		return fmt.Errorf("list the targets: %w", err)
	}
	for _, t := range stale {
		res.violation("target %s: nobody listens there", t)
	}
	return nil
}
