package migration

import "slices"

// CustomerSlice is all of a spec that concerns one customer: what travels with its Moves.
type CustomerSlice struct {
	Customer  Customer   `json:"customer"`
	Batch     Batch      `json:"batch"` // without its customers
	Databases []Dataset  `json:"databases,omitempty"`
	Files     []Dataset  `json:"files,omitempty"`
	Targets   []Target   `json:"targets"`
	Workloads []Workload `json:"workloads"`        // that take requests, without what they are told on AWS
	Routes    []Route    `json:"routes,omitempty"` // that carry it
	Health    Health     `json:"health"`
	Policy    Policy     `json:"policy"`
	Hooks     []Hook     `json:"hooks,omitempty"`
}

// Slice is what a customer's workflows need of a spec; false: there is no such customer.
func (s *Spec) Slice(customer string) (CustomerSlice, bool) {
	c, ok := s.Customer(customer)
	if !ok {
		return CustomerSlice{}, false
	}
	out := CustomerSlice{Customer: c, Targets: s.Targets, Health: s.Health, Policy: s.Policy, Routes: s.RoutesOf(c),
		Hooks: s.Hooks}
	for _, b := range s.Batches {
		if slices.Contains(b.Customers, c.ID) {
			b.Customers = nil
			out.Batch = b
		}
	}
	for _, name := range c.Datasets {
		switch d, _ := s.Dataset(name); {
		case d.Postgres != nil:
			out.Databases = append(out.Databases, d)
		case d.Files != nil:
			out.Files = append(out.Files, d)
		}
	}
	for _, name := range c.Workloads {
		if w, ok := s.Workload(name); ok && w.Ingress != nil {
			w.Config = Config{} // large, and no Move's business
			out.Workloads = append(out.Workloads, w)
		}
	}
	return out, true
}

// Stateless says whether the customer has no database, so that its home record is in the state
// bucket.
func (c CustomerSlice) Stateless() bool { return len(c.Databases) == 0 }

// Target finds a target that validation said exists.
func (c CustomerSlice) Target(name string) Target {
	t, ok := find(c.Targets, func(t Target) bool { return t.Name == name })
	if !ok {
		t.Name = name
	}
	return t
}

// Database finds one of the customer's databases; nil if it has none of that name.
func (c CustomerSlice) Database(name string) *Dataset {
	d, ok := find(c.Databases, func(d Dataset) bool { return d.Name == name })
	if !ok {
		return nil
	}
	return &d
}
