package state

import (
	"context"
	"slices"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// LoadTenantsRequest names a batch of a plan.
type LoadTenantsRequest struct {
	Spec  migration.SpecRef `json:"spec"`
	Batch string            `json:"batch"`
}

// Tenant is a customer's key in a database.
type Tenant struct {
	Customer string `json:"customer"`
	ID       int64  `json:"id"`
}

// BatchTenants are the customers of a batch in its order, by the database that says where each is
// homed: its first.
type BatchTenants struct {
	Databases map[string][]Tenant `json:"databases"`
	// Stateless are those without a database: their home records are in the state bucket.
	Stateless []string `json:"stateless,omitempty"`

	// ByName are those whose requests find their side by a name.
	ByName []string `json:"byName,omitempty"`

	// Names are those of the batch's customers that have one, by customer.
	Names map[string]string `json:"names,omitempty"`

	// Blackouts are those of the batch's customers that have any, by customer.
	Blackouts map[string][]migration.Span `json:"blackouts,omitempty"`
}

// LoadTenants says which database to ask for the homes of a batch's customers. Read-only.
func (a *Activities) LoadTenants(ctx context.Context, req LoadTenantsRequest) (BatchTenants, error) {
	s, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return BatchTenants{}, err
	}
	b, ok := s.Batch(req.Batch)
	if !ok {
		return BatchTenants{}, permanent.New("NoSuchBatch", nil, "plan %q revision %d has no batch %q", s.Plan, s.Revision, req.Batch)
	}
	byID := make(map[string]migration.Customer, len(s.Customers))
	for _, c := range s.Customers {
		byID[c.ID] = c
	}
	out := BatchTenants{Databases: map[string][]Tenant{}}
	for _, id := range b.Customers {
		c := byID[id]
		if c.Name != "" {
			if out.Names == nil {
				out.Names = map[string]string{}
			}
			out.Names[id] = c.Name
		}
		if len(c.Blackouts) > 0 {
			if out.Blackouts == nil {
				out.Blackouts = map[string][]migration.Span{}
			}
			out.Blackouts[id] = c.Blackouts
		}
		if s.Stateless(c) {
			out.Stateless = append(out.Stateless, id)
		}
		if slices.ContainsFunc(s.RoutesOf(c), func(r migration.Route) bool { return r.DNS != nil }) {
			out.ByName = append(out.ByName, id)
		}
		for _, name := range c.Datasets {
			if d, ok := s.Dataset(name); ok && d.Postgres != nil {
				out.Databases[name] = append(out.Databases[name], Tenant{Customer: id, ID: c.Tenant})
				break
			}
		}
	}
	return out, nil
}
