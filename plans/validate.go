package plans

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drover-migration/drover/migration"
)

var root *node // the plan itself

// validate checks what no single value shows: references, and that the plan can be carried out at
// all.
func (p *Plan) validate() {
	p.refer(root.ats("state", "target"), "target", p.State.Target, known(p, "targets", p.Targets))
	p.validateSites()
	p.validateTargets()
	p.validateWorkloads()
	p.validateDatasets()
	p.validateRoutes()
	p.validateHealth()
	p.validateCustomers()
	p.validateBatches()
	p.validateWeights()
	p.validateHooks()
	p.validateNotify()
}

// index is what a reference may name.
type index struct {
	names    []string
	complete bool // false: something could not be decoded, so that a missing name proves nothing
}

func known[V any](p *Plan, key string, m map[Name]V) index {
	ix := index{complete: !p.src.incompleteKeys(root.at(key))}
	for name := range m {
		ix.names = append(ix.names, string(name))
	}
	return ix
}

// refer reports a reference to what is not there. An empty one has been reported already.
func (p *Plan) refer(at *node, kind string, name Name, to index) bool {
	if name == "" {
		return false
	}
	if slices.Contains(to.names, string(name)) {
		return true
	}
	if to.complete {
		pr := Problem{Message: "no such " + kind, Found: quoted(string(name)), Want: "one of " + listed(to.names),
			Hint: didYouMean(string(name), to.names)}
		if len(to.names) == 0 {
			pr.Want = "a " + kind + " that the plan describes"
		}
		p.src.report(at, pr)
	}
	return false
}

// exactlyOne reports a node of which none or several of its alternatives are given.
func (p *Plan) exactlyOne(at *node, of []string, given ...bool) bool {
	n := 0
	for _, g := range given {
		if g {
			n++
		}
	}
	if n != 1 && !p.src.incomplete(at) {
		found := "none"
		if n > 1 {
			found = "several"
		}
		p.src.report(at, Problem{Message: "needs exactly one of " + strings.Join(of, ", "), Found: found})
	}
	return n == 1
}

// has says whether one of the keys stands in a mapping: a reserved one has been reported, and
// explains what is missing.
func (p *Plan) has(at *node, keys ...string) bool {
	n := p.src.root
	for _, step := range at.steps() {
		if n, _ = p.src.child(p.src.content(n), step); n == nil {
			return false
		}
	}
	for _, e := range p.src.entries(p.src.content(n)) {
		if slices.Contains(keys, e.name) {
			return true
		}
	}
	return false
}

func (p *Plan) validateSites() {
	for _, name := range sortedKeys(p.Sites) {
		v := p.Sites[name].VSphere
		if v != nil && v.CAFile != "" && v.Thumbprint != "" {
			p.src.report(root.ats("sites", string(name), "vsphere", "thumbprint"),
				Problem{Message: "a thumbprint beside a caFile", Want: "one of the two"})
		}
	}
}

func (p *Plan) validateTargets() {
	for _, name := range sortedKeys(p.Targets) {
		t, at := p.Targets[name], root.ats("targets", string(name))
		if t.Role != nil && t.Role.ARN != "" && t.Account != "" && arnPart(string(t.Role.ARN), 4) != string(t.Account) {
			p.src.report(at.ats("role", "arn"), Problem{Message: "the role is in another account", Found: arnPart(string(t.Role.ARN), 4),
				Want: string(t.Account)})
		}
		if len(t.Tags) > 40 {
			p.src.report(at.at("tags"), Problem{Message: "too many tags", Found: fmt.Sprint(len(t.Tags)),
				Want: "at most 40: AWS allows 50, and Drover adds its own"})
		}
		p.noRepeats(at.at("subnets"), strs(t.Subnets))
	}
}

// arnPart is a part of an ARN, counted from 0: 3 is the region, 4 the account.
func arnPart(arn string, i int) string {
	if parts := strings.Split(arn, ":"); i < len(parts) {
		return parts[i]
	}
	return ""
}

// noRepeats reports the second of two equal items.
func (p *Plan) noRepeats(at *node, items []string) {
	seen := map[string]int{}
	for i, v := range items {
		if first, ok := seen[v]; ok && v != "" {
			p.src.report(at.item(i), Problem{Message: quoted(v) + " is listed twice", Hint: fmt.Sprintf("the first is item %d", first)})
			continue
		}
		seen[v] = i
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func strs[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = string(v)
	}
	return out
}

// bake is how long a batch watches its customers.
func (b Batch) bake() migration.Duration {
	if b.Bake == nil {
		return 0
	}
	return *b.Bake
}
