package plans

import (
	"fmt"
	"slices"

	"github.com/drover-migration/drover/migration"
)

// mostWeights are the shares in percent that differ.
const mostWeights = 100

// validateWeights wants shares that grow, up to all.
func (p *Plan) validateWeights() {
	at, weights := root.ats("policy", "weights"), p.Policy.Weights
	if p.src.incomplete(at) || len(weights) == 0 {
		return
	}
	last := 0
	for i, w := range weights {
		switch {
		case w < 1 || w > mostWeights:
			p.src.report(at.item(i), Problem{Message: "not a percentage", Found: fmt.Sprint(w), Want: "1 to 100"})
		case w <= last:
			p.src.report(at.item(i), Problem{Message: "a weight that does not grow", Found: fmt.Sprint(w), Want: fmt.Sprintf("more than %d",
				last), Hint: "a customer that is unhealthy at a weight goes back by itself"})
		}
		last = max(last, w)
	}
	if last < mostWeights {
		p.src.report(at.item(len(weights)-1), Problem{Message: "the last weight is not 100", Found: fmt.Sprint(weights[len(weights)-1]),
			Want: "100: a customer that has moved is served by AWS alone"})
	}
}

// validateStateless wants whoever has no data to have workloads that keep none: to forget a dataset
// would let both sides write what nobody carries over.
func (p *Plan) validateStateless(c Customer, at *node) {
	for i, name := range c.Uses.Workloads {
		w, ok := p.Workloads[name]
		if ok && w.State != Choice(migration.StateNone) && !p.src.incomplete(root.ats("workloads", string(name))) {
			p.src.report(at.ats("uses", "workloads").item(i), Problem{
				Message: fmt.Sprintf("customer %q uses no dataset, and workload %q keeps its state in datasets", c.ID, name),
				Want:    "uses.datasets, or state: none at the workload",
				Hint:    "a customer without datasets is served by both sides at once",
			})
		}
	}
}

// validateTenant wants a customer that has data to say which.
func (p *Plan) validateTenant(c Customer, at *node) {
	if c.Tenant == 0 && !p.src.incomplete(at.at("tenant")) && slices.ContainsFunc(c.Uses.Datasets, func(n Name) bool { return n != "" }) {
		p.src.report(at, Problem{Message: `key "tenant" is missing`, Want: "the value of the tenant column: the customer uses datasets"})
	}
}

// stateless says whether the customer uses no dataset.
func (c Customer) stateless() bool { return len(c.Uses.Datasets) == 0 }
