package state

import (
	"context"
	"slices"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// LoadEndRequest names a batch whose way back ends, and those of which it has ended already.
type LoadEndRequest struct {
	Spec  migration.SpecRef `json:"spec"`
	Batch string            `json:"batch"`
	Ended []string          `json:"ended,omitempty"`
}

// BatchEnd is what the end of a batch's way back is about.
type BatchEnd struct {
	Tenants map[string][]int64 `json:"tenants"` // by dataset, ascending
	// Workloads are those that customers of the batch use and nobody else does, but for customers
	// whose way back has ended already.
	Workloads []string `json:"workloads,omitempty"`
}

// LoadEnd reads what the end of a batch's way back is about. Read-only.
func (a *Activities) LoadEnd(ctx context.Context, req LoadEndRequest) (BatchEnd, error) {
	s, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return BatchEnd{}, err
	}
	b, ok := s.Batch(req.Batch)
	if !ok {
		return BatchEnd{}, permanent.New("NoSuchBatch", nil, "plan %q revision %d has no batch %q", s.Plan, s.Revision, req.Batch)
	}
	ended := slices.Clone(b.Customers)
	for _, name := range req.Ended {
		if e, ok := s.Batch(name); ok {
			ended = append(ended, e.Customers...)
		}
	}
	out := BatchEnd{Tenants: map[string][]int64{}}
	mine, others := map[string]bool{}, map[string]bool{}
	for _, c := range s.Customers {
		in, over := slices.Contains(b.Customers, c.ID), slices.Contains(ended, c.ID)
		for _, d := range c.Datasets {
			if in {
				out.Tenants[d] = append(out.Tenants[d], c.Tenant)
			}
		}
		for _, w := range c.Workloads {
			mine[w], others[w] = mine[w] || in, others[w] || !over
		}
	}
	for d := range out.Tenants {
		slices.Sort(out.Tenants[d])
	}
	for _, w := range s.Workloads {
		if mine[w.Name] && !others[w.Name] {
			out.Workloads = append(out.Workloads, w.Name)
		}
	}
	return out, nil
}
