package plans

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drover-migration/drover/migration"
)

func (p *Plan) validateCustomers() {
	ids, tenants, hosts := map[Name]int{}, map[int64]int{}, map[Host]int{}
	workloads, datasets := known(p, "workloads", p.Workloads), known(p, "datasets", p.Datasets)
	var routes *migration.Spec // nil: they are not known
	if !p.src.incomplete(root.at("routes")) && p.Routes != nil {
		routes = p.carriers()
	}
	for i, c := range p.Customers.List {
		at := root.at("customers").item(i)
		if first, ok := ids[c.ID]; ok && c.ID != "" {
			p.src.report(at.at("id"), Problem{Message: fmt.Sprintf("customer %q is there twice", c.ID),
				Hint: "the first is " + p.where(first)})
		} else {
			ids[c.ID] = i
		}
		if first, ok := tenants[c.Tenant]; ok && c.Tenant != 0 {
			p.src.report(at.at("tenant"), Problem{Message: fmt.Sprintf("tenant %d is customer %q's already", c.Tenant,
				p.Customers.List[first].ID), Hint: "it is " + p.where(first)})
		} else {
			tenants[c.Tenant] = i
		}
		for j, h := range c.Match.Host {
			if first, ok := hosts[h]; ok && h != "" {
				p.src.report(at.ats("match", "host").item(j),
					Problem{Message: fmt.Sprintf("host %s is customer %q's already", quoted(string(h)), p.Customers.List[first].ID),
						Hint: "it is " + p.where(first)})
			} else {
				hosts[h] = i
			}
		}
		p.validateUses(c, at, workloads, datasets, routes)
		p.validateTenant(c, at)
		if c.stateless() && !p.src.incomplete(at.ats("uses", "datasets")) {
			p.validateStateless(c, at)
		}
	}
}

// where says which line a customer stands in.
func (p *Plan) where(i int) string {
	at := root.at("customers").item(i)
	_, line, _ := p.src.locate(at)
	return fmt.Sprintf("%s, line %d", at, line)
}

func (p *Plan) validateUses(c Customer, at *node, workloads, datasets index, routes *migration.Spec) {
	routed := map[string]bool{}
	if routes != nil {
		for _, r := range routes.RoutesOf(c.carried()) {
			for _, w := range r.Workloads() {
				routed[w] = true
			}
		}
	}
	reached := routes == nil || p.src.incomplete(at) || len(c.Uses.Workloads) == 0
	at = at.at("uses")
	p.noRepeats(at.at("workloads"), strs(c.Uses.Workloads))
	p.noRepeats(at.at("datasets"), strs(c.Uses.Datasets))
	for i, w := range c.Uses.Workloads {
		place := at.at("workloads").item(i)
		if !p.refer(place, "workload", w, workloads) {
			reached = true // or may be: the name is wrong
			continue
		}
		if routed[string(w)] {
			reached = true
		} else if routes != nil && p.Workloads[w].Ingress != nil {
			p.src.report(place, Problem{Message: fmt.Sprintf("no route carries workload %q, which takes requests", w),
				Want: "it under workloads of a route, or no ingress"})
			reached = true
		}
	}
	if !reached {
		p.src.report(at.at("workloads"), Problem{Message: fmt.Sprintf("no route reaches customer %q", c.ID),
			Found: strings.Join(strs(c.Uses.Workloads), ", "), Want: "at least one workload that a route carries: a cutover turns a route"})
	}
	p.validateUsedData(c, at.at("datasets"), datasets)
}

func (p *Plan) validateUsedData(c Customer, at *node, datasets index) {
	doubtful := false
	for i, name := range c.Uses.Datasets {
		if !p.refer(at.item(i), "dataset", name, datasets) {
			doubtful = true
		}
	}
	if doubtful { // what is missing may be what was mistyped
		return
	}
	for i, name := range c.Uses.Datasets {
		d := p.Datasets[name]
		if d.Files != nil && slices.Contains(datasets.names, string(d.Files.FencedBy)) &&
			!slices.Contains(c.Uses.Datasets, d.Files.FencedBy) {
			p.src.report(at.item(i), Problem{Message: fmt.Sprintf("dataset %q is fenced by %q, which the customer does not use", name,
				d.Files.FencedBy), Want: fmt.Sprintf("%q beside it", d.Files.FencedBy)})
		}
	}
}

// What a plan may ask of Temporal, which allows a workflow 2,000 children and 2,000 signals that
// are pending (limit.numPendingChildExecutions.error, limit.numPendingSignals.error).
const (
	MaxBatchCustomers = 1500 // of one batch, which starts and tells them
	MaxBatches        = 500  // of a plan, whose migration starts and tells them
)

func (p *Plan) validateBatches() {
	if n := len(p.Batches); n > MaxBatches {
		p.src.report(root.at("batches"), Problem{
			Message: "too many batches", Found: strconv.Itoa(n),
			Want: fmt.Sprintf("at most %d: Temporal lets a workflow start and signal only so many at once", MaxBatches),
			Hint: "make batches larger, or divide the plan",
		})
	}
	seen := map[Name]int{}
	var last *span
	for i, b := range p.Batches {
		at := root.at("batches").item(i)
		if first, ok := seen[b.Name]; ok && b.Name != "" {
			p.src.report(at.at("name"), Problem{Message: fmt.Sprintf("batch %q is there twice", b.Name),
				Hint: "the first is " + root.at("batches").item(first).String()})
		}
		seen[b.Name] = i
		if b.Window != nil && !p.src.incomplete(at.at("window")) && !p.src.incomplete(at.at("bake")) {
			last = p.validateWindow(b, at.at("window"), last)
		}
		p.validateRequires(i, b)
	}
	p.validateBlackouts(p.assign(p.src.report))
}

// validateRequires wants writers to be observed before the first batch, and where there are any: of
// what is replicated already nothing can be observed without harm.
func (p *Plan) validateRequires(i int, b Batch) {
	at := root.at("batches").item(i).at("requires")
	switch {
	case b.Requires == nil || p.src.incomplete(at):
	case b.Requires.Observe == nil:
		p.src.report(at, Problem{Message: "it requires nothing", Want: "observe, or no requires"})
	case i > 0:
		p.src.report(at.at("observe"), Problem{Message: "writers are observed before anything is replicated, and batch " +
			quoted(string(b.Name)) + " is not the first", Want: "it with the first batch"})
	case !p.src.incomplete(root.at("datasets")) && !slices.ContainsFunc(sortedKeys(p.Datasets), func(n Name) bool {
		return p.Datasets[n].Postgres != nil
	}):
		p.src.report(at.at("observe"), Problem{Message: "the plan has no database whose writers could be observed",
			Want: "a dataset with postgres, or no observe"})
	}
}

// validateBlackouts refuses a window in all of which a customer of its batch must not move.
func (p *Plan) validateBlackouts(members [][]int) {
	for i, b := range p.Batches {
		if b.Window == nil || p.src.incomplete(root.at("batches").item(i).at("window")) {
			continue
		}
		opens, err := b.Window.opens()
		if err != nil {
			continue // it has been said
		}
		for _, m := range members[i] {
			c := p.Customers.List[m]
			at := root.at("customers").item(m).at("blackouts")
			if p.src.incomplete(at) || !(migration.Customer{Blackouts: c.blackouts()}).Closed(opens, opens.Add(b.Window.For.D())) {
				continue
			}
			p.src.report(at, Problem{Message: fmt.Sprintf("customer %q could never move: its blackout covers the window of batch %q", c.ID,
				b.Name), Want: "part of the window outside it, or the customer in another batch"})
		}
	}
}

// span is when the window of a batch is open.
type span struct {
	batch         Name
	opens, closes time.Time
}

// validateWindow wants a window that exists, is long enough and can come after those of the batches
// before. It answers the latest opening so far.
func (p *Plan) validateWindow(b Batch, at *node, last *span) *span {
	opens, err := b.Window.opens()
	if err != nil {
		p.src.report(at.at("opens"), Problem{Message: err.Error(), Found: quoted(string(b.Window.Opens)), Want: "a time that the zone has"})
		return last
	}
	now := &span{batch: b.Name, opens: opens, closes: opens.Add(b.Window.For.D())}
	if b.Window.For < b.bake() {
		p.src.report(at.at("for"), Problem{Message: "the window closes before the first customer has baked", Found: b.Window.For.Brief(),
			Want: "at least the bake of " + b.bake().Brief()})
	}
	if last == nil {
		return now
	}
	if !now.closes.After(last.opens) {
		p.src.report(at.at("opens"), Problem{Message: fmt.Sprintf("the window closes before that of batch %q, which goes first, opens",
			last.batch), Hint: "batches are released in the order of the plan"})
	}
	if last.opens.After(now.opens) {
		return last
	}
	return now
}

// opens is the instant at which the window opens. Of a time that the zone has twice it takes the
// first.
func (w Window) opens() (time.Time, error) {
	zone, err := time.LoadLocation(string(w.Zone))
	if err != nil {
		return time.Time{}, fmt.Errorf("no such zone")
	}
	t, err := time.ParseInLocation(localTimeLayout, string(w.Opens), zone)
	if err != nil {
		return time.Time{}, fmt.Errorf("no such date or time")
	}
	if t.Format(localTimeLayout) != string(w.Opens) {
		return time.Time{}, fmt.Errorf("clocks in %s go forward and skip this time", w.Zone)
	}
	for _, earlier := range []time.Duration{2 * time.Hour, time.Hour, 30 * time.Minute} {
		if e := t.Add(-earlier); e.Format(localTimeLayout) == string(w.Opens) {
			return e, nil
		}
	}
	return t, nil
}
