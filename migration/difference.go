package migration

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Difference is what another revision of a plan changes. Lists are in the new plan's order, what is
// gone last.
type Difference struct {
	Batches   []BatchChange    `json:"batches,omitempty"`
	Customers []CustomerChange `json:"customers,omitempty"`
	Rest      []Change         `json:"rest,omitempty"` // of the plan itself, by place
	// Order are the names of the new plan's batches, where the order of those that were there
	// before is another.
	Order []string `json:"order,omitempty"`
}

// Change is a value that is another one. Values are JSON without quotes around texts; "": there is
// none.
type Change struct {
	Place string `json:"place"` // policy.soak
	From  string `json:"from,omitempty"`
	To    string `json:"to,omitempty"`
}

// BatchChange is a batch that comes, goes, or changes.
type BatchChange struct {
	Name    string   `json:"name"`
	Added   bool     `json:"added,omitempty"`
	Removed bool     `json:"removed,omitempty"`
	Changes []Change `json:"changes,omitempty"` // of its values; of its customers see Customers
}

// CustomerChange is a customer that comes, goes to another batch, or changes.
type CustomerChange struct {
	ID      string   `json:"id"`
	From    string   `json:"from,omitempty"` // batch; "": it is in none, or new
	To      string   `json:"to,omitempty"`   // batch; "": it is in none
	Added   bool     `json:"added,omitempty"`
	Removed bool     `json:"removed,omitempty"`
	Changes []Change `json:"changes,omitempty"`
}

// Empty says whether nothing changes.
func (d Difference) Empty() bool {
	return len(d.Batches)+len(d.Customers)+len(d.Rest)+len(d.Order) == 0
}

// DifferenceOf says what the content of now changes in that of was. It looks at nothing else.
func DifferenceOf(was, now *Spec) Difference {
	var d Difference
	d.Batches, d.Order = compareBatches(was.Batches, now.Batches)
	d.Customers = compareCustomers(was, now)
	d.Rest = changes("", rest(was), rest(now))
	return d
}

func compareBatches(was, now []Batch) (out []BatchChange, order []string) {
	named := func(b Batch) string { return b.Name }
	bare := func(b Batch) Batch { b.Customers = nil; return b }
	before := by(was, named)
	var stay []string // of those that were there before
	for _, b := range now {
		old, is := before[b.Name]
		switch c := changes("", bare(old), bare(b)); {
		case !is:
			out = append(out, BatchChange{Name: b.Name, Added: true})
			continue
		case len(c) > 0:
			out = append(out, BatchChange{Name: b.Name, Changes: c})
		}
		stay = append(stay, b.Name)
	}
	after := by(now, named)
	var stayed []string
	for _, b := range was {
		if _, is := after[b.Name]; !is {
			out = append(out, BatchChange{Name: b.Name, Removed: true})
			continue
		}
		stayed = append(stayed, b.Name)
	}
	if slices.Equal(stay, stayed) {
		return out, nil
	}
	return out, stay
}

func compareCustomers(was, now *Spec) (out []CustomerChange) {
	id := func(c Customer) string { return c.ID }
	before, after := by(was.Customers, id), by(now.Customers, id)
	from, to := batchOf(was), batchOf(now)
	for _, c := range now.Customers {
		x := CustomerChange{ID: c.ID, From: from[c.ID], To: to[c.ID]}
		if old, is := before[c.ID]; is {
			x.Changes = changes("", old, c)
		} else {
			x.Added = true
		}
		if x.Added || x.From != x.To || len(x.Changes) > 0 {
			out = append(out, x)
		}
	}
	for _, c := range was.Customers {
		if _, is := after[c.ID]; !is {
			out = append(out, CustomerChange{ID: c.ID, From: from[c.ID], Removed: true})
		}
	}
	return out
}

// batchOf are the batches of customers.
func batchOf(s *Spec) map[string]string {
	out := make(map[string]string, len(s.Customers))
	for _, b := range s.Batches {
		for _, id := range b.Customers {
			out[id] = b.Name
		}
	}
	return out
}

func by[T any](in []T, name func(T) string) map[string]T {
	out := make(map[string]T, len(in))
	for _, v := range in {
		out[name(v)] = v
	}
	return out
}

// rest is a plan without customers and batches, with what has a name by its name.
func rest(s *Spec) any {
	return map[string]any{
		"name": s.Plan, "state": s.State, "health": s.Health, "policy": s.Policy, "notify": s.Notify, "evidence": s.Evidence,
		"hooks":     by(s.Hooks, func(x Hook) string { return string(x.Event) }),
		"sites":     by(s.Sites, func(x Site) string { return x.Name }),
		"targets":   by(s.Targets, func(x Target) string { return x.Name }),
		"workloads": by(s.Workloads, func(x Workload) string { return x.Name }),
		"datasets":  by(s.Datasets, func(x Dataset) string { return x.Name }),
		"routes":    by(s.Routes, func(x Route) string { return x.Name }),
	}
}

// changes compares two values as JSON: objects by their keys, everything else as a whole.
func changes(place string, was, now any) []Change {
	return differ(place, generic(was), generic(now))
}

// generic is a value as JSON has it. What Drover's types say can be said in JSON.
func generic(v any) (out any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		panic(err)
	}
	return out
}

func differ(place string, was, now any) (out []Change) {
	a, isA := was.(map[string]any)
	b, isB := now.(map[string]any)
	if !isA || !isB {
		from, to := words(was), words(now)
		if from == to {
			return nil
		}
		return []Change{{Place: place, From: from, To: to}}
	}
	keys := slices.Sorted(maps.Keys(a))
	for k := range b {
		if _, both := a[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		at := k
		if place != "" {
			at = place + "." + k
		}
		out = append(out, differ(at, a[k], b[k])...)
	}
	return out
}

func words(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // it was JSON
		}
		return string(b)
	}
}

// Standing is how far a plan has come, as its workflows say.
type Standing struct {
	Released  []string               `json:"released,omitempty"` // batches that have had their turn, in order
	Batches   map[string]BatchStatus `json:"batches"`            // with all customers, of those that a difference touches
	Workloads map[string]PiecePhase  `json:"workloads,omitempty"`
}

// Touches are the batches whose state decides whether a difference can be made: of the old plan,
// each once.
func (d Difference) Touches() (out []string) {
	for _, b := range d.Batches {
		if !b.Added {
			out = append(out, b.Name)
		}
	}
	for _, c := range d.Customers {
		out = append(out, c.From, c.To)
	}
	added := map[string]bool{"": true}
	for _, b := range d.Batches {
		added[b.Name] = added[b.Name] || b.Added
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(name string) bool { return added[name] })
}

// Refusals are what of the difference may not be, since it has begun, or since it never may. Order
// is the order of the batches in the new plan. None: the amendment can be made.
func (d Difference) Refusals(s Standing, order []string) (out []Finding) {
	refuse := func(subject, remedy, format string, args ...any) {
		out = append(out, refused(subject, remedy, format, args...))
	}
	if n := len(s.Released); len(order) < n || !slices.Equal(order[:n], s.Released) {
		refuse("batches", "keep those first, in this order, and put new batches after them",
			"the batches %s have had their turn already", strings.Join(s.Released, ", "))
	}
	for _, b := range d.Batches {
		out = append(out, b.refusals(s)...)
	}
	for _, c := range d.Customers {
		out = append(out, c.refusals(s)...)
	}
	for _, c := range d.Rest {
		switch whole, part, _ := strings.Cut(c.Place, "."); whole {
		case "policy", "health", "hooks":
		case "notify":
			if part == "" {
				refuse(c.Place, "submit the plan so when it has ended", "whether a plan tells anybody is settled when it is submitted")
			}
		case "workloads":
			name, value, _ := strings.Cut(part, ".")
			phase, is := s.Workloads[name]
			if is && value == "" {
				refuse(c.Place, "leave it in the plan: `drover abort` removes it with the others",
					"a workload cannot be taken out of a plan")
			} else if is && phase != PieceWaiting {
				refuse(c.Place, "leave it as it was", "workload %s is %s already", name, phase)
			}
		case "datasets":
			refuse(c.Place, datasetRemedy(part), "what is copied, and from where to where, is settled when the plan is submitted")
		default:
			refuse(c.Place, "leave it as it was; another plan, or this one once it has ended, can have it otherwise",
				"it is settled when the plan is submitted")
		}
	}
	return out
}

func refused(subject, remedy, format string, args ...any) Finding {
	return Finding{Severity: Blocker, Check: "amend", Subject: subject, Reason: fmt.Sprintf(format, args...), Remedy: remedy}
}

func datasetRemedy(part string) string {
	switch {
	case strings.HasSuffix(part, ".newCustomers"):
		return "leave policy.newCustomers as it was: a sign-up would be at home on two sides"
	case strings.HasSuffix(part, ".synthetic"):
		return "leave the tenants of health.probes[].write as they were"
	default:
		return "leave it as it was; another plan, or this one once it has ended, can have it otherwise"
	}
}

// settled are the values of a batch that hold for those of its customers that have gone.
var settled = []string{"approvals", "bake"}

func (b BatchChange) refusals(s Standing) (out []Finding) {
	is, subject := s.Batches[b.Name], "batch "+b.Name
	refuse := func(subject, remedy, format string, args ...any) {
		out = append(out, refused(subject, remedy, format, args...))
	}
	switch {
	case b.Added || !is.started():
	case b.Removed:
		refuse(subject, "leave it in the plan", "it has begun (%s), and somebody has to look after its customers", is.Phase)
	default:
		for _, c := range b.Changes {
			if slices.Contains(settled, c.Place) {
				remedy := "leave it as it was"
				if c.Place == "bake" {
					remedy += ": where policy.bake changes, this batch keeps its own with `bake: " + c.From + "`"
				}
				refuse(subject+": "+c.Place, remedy, "the batch has begun (%s)", is.Phase)
			}
		}
	}
	return out
}

// started says whether somebody of the batch has set out, or may have.
func (b BatchStatus) started() bool {
	return b.Phase != BatchWaiting && b.Phase != BatchGate || b.Counts.Away > 0
}

func (c CustomerChange) refusals(s Standing) (out []Finding) {
	subject := "customer " + c.ID
	refuse := func(remedy, format string, args ...any) { out = append(out, refused(subject, remedy, format, args...)) }
	if c.Removed {
		refuse("leave it in the plan; `drover skip PLAN --customer "+c.ID+"` has it stay on premises",
			"a customer cannot be taken out of a plan: its databases know it")
		return out
	}
	if to, is := s.Batches[c.To]; is && c.From != c.To && to.started() {
		refuse("put it into a batch that has not begun, or into a new one", "batch %s has begun (%s)", c.To, to.Phase)
	}
	if c.Added {
		return out
	}
	if c.To == "" {
		refuse("`drover skip PLAN --customer "+c.ID+"` has it stay on premises", "it is in no batch any more")
	}
	for _, x := range c.Changes {
		if x.Place == "tenant" || x.Place == "datasets" {
			refuse("leave it as it was", "its %s is settled when it comes into the plan (%s; now %s)", x.Place, x.From,
				cmp.Or(x.To, "none"))
		}
	}
	i := slices.IndexFunc(s.Batches[c.From].Customers, func(m CustomerStatus) bool { return m.ID == c.ID })
	if i < 0 {
		return out // nobody has heard of it yet
	}
	switch m := s.Batches[c.From].Customers[i]; {
	case m.Phase == CustomerFinding:
		refuse("try again in a moment: `drover status PLAN --customer "+c.ID+"`", "where it is homed is being asked")
	case !m.idle():
		refuse("leave it as it was; one that is rolled back can be changed", "it is %s, homed on %s", m.Phase, m.Home)
	}
	return out
}

// idle says that the customer is at home, and not on its way.
func (m CustomerStatus) idle() bool {
	switch m.Phase {
	case CustomerWaiting, CustomerHeld, CustomerRolledBack, CustomerSkipped:
		return m.Home == OnPrem
	default:
		return false
	}
}
