// Package permissions says what the workers of a plan must be allowed to do in AWS: exactly the
// calls that the product's client interfaces name, each on what the plan names.
package permissions

import (
	"cmp"
	"maps"
	"slices"

	"github.com/drover-migration/drover/migration"
)

// Policy is an IAM policy document.
type Policy struct {
	Version   string      `json:"Version"`
	Statement []Statement `json:"Statement"`
}

// Statement allows actions on resources. Its lists are sorted.
type Statement struct {
	Effect    string    `json:"Effect"`
	Action    []string  `json:"Action"`
	Resource  []string  `json:"Resource"`
	Condition Condition `json:"Condition,omitempty"`
}

// Condition is by operator, then by key.
type Condition map[string]map[string][]string

// Grant is what one identity must be allowed.
type Grant struct {
	// Role is the ARN of a target's role, which all workers assume; empty: the policy is for what
	// the named worker runs under by itself.
	Role    string   `json:"role,omitempty"`
	Workers []string `json:"workers"` // "main", or "site NAME"
	Policy  Policy   `json:"policy"`
}

// Of are the grants of a plan: one for each worker's own identity that needs any, the main worker
// first, then one for each role of its targets.
func Of(spec *migration.Spec) []Grant {
	var all []*grant
	at := func(t migration.Target, worker string) *grant {
		is := func(g *grant) bool { return g.role == "" && slices.Contains(g.workers, worker) }
		role := ""
		if t.Role != nil {
			role = t.Role.ARN
			is = func(g *grant) bool { return g.role == role }
		}
		i := slices.IndexFunc(all, is)
		if i < 0 {
			all = append(all, &grant{role: role})
			i = len(all) - 1
		}
		if g := all[i]; !slices.Contains(g.workers, worker) {
			g.workers = append(g.workers, worker)
		}
		return all[i]
	}
	for _, w := range workersOf(spec) {
		own := at(migration.Target{}, w.name)
		for _, ref := range w.own(spec) {
			own.allow(place{spec: spec, worker: w}.secret(ref))
		}
		for _, t := range spec.Targets {
			p := place{spec: spec, target: t, worker: w}
			needs := p.allowances()
			for _, a := range needs {
				at(t, w.name).allow(a)
			}
			if t.Role != nil && len(needs) > 0 {
				own.allow(allowance{actions: []string{"sts:AssumeRole"}, on: []string{t.Role.ARN}})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *grant) int { return cmp.Compare(a.role, b.role) })
	var out []Grant
	for _, g := range all {
		if len(g.all) > 0 {
			out = append(out, Grant{Role: g.role, Workers: g.workers, Policy: g.policy()})
		}
	}
	return out
}

// allowances are what the worker needs in the target.
func (p place) allowances() (out []allowance) {
	for _, op := range p.worker.operations() {
		out = append(out, rules[op](p)...)
	}
	for _, ref := range p.secrets() {
		out = append(out, p.secret(ref))
	}
	return slices.DeleteFunc(out, func(a allowance) bool { return len(a.actions) == 0 || len(a.on) == 0 })
}

// allowance is actions on resources, on a condition.
type allowance struct {
	actions, on []string
	when        Condition
}

// grant collects what one identity is allowed: a role, or a worker's own.
type grant struct {
	role    string
	workers []string
	all     []allowance
}

func (g *grant) allow(a allowance) {
	if len(a.actions) > 0 && len(a.on) > 0 {
		g.all = append(g.all, a)
	}
}

// policy joins what is allowed on the same resources under the same condition.
func (g *grant) policy() Policy {
	out := Policy{Version: "2012-10-17"}
	for _, a := range g.all {
		on := slices.Compact(slices.Sorted(slices.Values(a.on)))
		i := slices.IndexFunc(out.Statement, func(s Statement) bool {
			return slices.Equal(s.Resource, on) && maps.EqualFunc(s.Condition, a.when, func(x, y map[string][]string) bool {
				return maps.EqualFunc(x, y, slices.Equal)
			})
		})
		if i < 0 {
			out.Statement = append(out.Statement, Statement{Effect: "Allow", Resource: on, Condition: a.when})
			i = len(out.Statement) - 1
		}
		s := &out.Statement[i]
		s.Action = slices.Compact(slices.Sorted(slices.Values(append(s.Action, a.actions...))))
	}
	slices.SortFunc(out.Statement, func(a, b Statement) int {
		return cmp.Or(slices.Compare(a.Action, b.Action), slices.Compare(a.Resource, b.Resource))
	})
	return out
}
