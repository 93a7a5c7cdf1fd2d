package migration

// CustomerSlice is all of a spec that concerns one customer: what travels with its Moves.
type CustomerSlice struct {
	Customer  Customer   `json:"customer"`
	Batch     Batch      `json:"batch"` // without its customers
	Databases []Dataset  `json:"databases,omitempty"`
	Files     []Dataset  `json:"files,omitempty"`
	Targets   []Target   `json:"targets"`
	Workloads []Workload `json:"workloads"` // that take requests, without what they are told on AWS
	Routes    []Route    `json:"routes,omitempty"`
	Health    Health     `json:"health"`
	Policy    Policy     `json:"policy"`
}

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
