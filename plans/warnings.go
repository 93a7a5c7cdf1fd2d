package plans

import (
	"fmt"
	"time"

	"github.com/drover-migration/drover/migration"
)

// Warnings are what a valid plan says and its author may not have meant. They stop nothing.
func (p *Plan) Warnings() Problems {
	w := &source{file: p.src.file, root: p.src.root, aliases: p.src.aliases, read: p.src.read, csv: p.src.csv}
	used := map[string]bool{}
	for _, c := range p.Customers.List {
		for _, name := range c.Uses.Workloads {
			used["workloads."+string(name)] = true
		}
		for _, name := range c.Uses.Datasets {
			used["datasets."+string(name)] = true
		}
	}
	for _, name := range sortedKeys(p.Workloads) {
		if at := root.ats("workloads", string(name)); !used[at.String()] {
			w.report(at, Problem{Message: "no customer uses this workload", Hint: "its machines are copied and launched all the same"})
		}
	}
	for _, name := range sortedKeys(p.Datasets) {
		if at := root.ats("datasets", string(name)); !used[at.String()] {
			w.report(at, Problem{Message: "no customer uses this dataset",
				Hint: "it is replicated all the same, and nobody's part of it moves"})
		}
	}
	for i, b := range p.Batches {
		if b.Window == nil {
			continue
		}
		if first, err := b.Window.opens(); err == nil && b.Window.twice(first) {
			w.report(root.at("batches").item(i).ats("window", "opens"), Problem{Message: "clocks in " + string(b.Window.Zone) +
				" show this time twice",
				Hint: fmt.Sprintf("the first is taken, %s", first.UTC().Format("2006-01-02 15:04 MST"))})
		}
	}
	p.warnOfNotify(w)
	return w.problems.sorted()
}

// warnOfNotify tells of contacts that nobody tells anything, and of customers whose batch has no
// window to count back from.
func (p *Plan) warnOfNotify(w *source) {
	if p.Notify == nil {
		return
	}
	told := map[Name]bool{}
	for i, r := range p.Notify.Rules {
		for _, c := range r.To {
			told[c] = true
		}
		for _, e := range r.Escalate {
			for _, c := range e.To {
				told[c] = true
			}
		}
		for j, e := range r.Events {
			var without []string
			for _, b := range p.Batches {
				if migration.NoticeKind(e).Scheduled() && b.Window == nil && len(r.Batches) == 0 {
					without = append(without, string(b.Name))
				}
			}
			if len(without) > 0 {
				w.report(root.ats("notify", "rules").item(i).at("events").item(j), Problem{
					Message: "batches without a window send no such message", Found: listed(without),
				})
			}
		}
	}
	for _, name := range sortedKeys(p.Notify.Contacts) {
		if !told[name] {
			w.report(root.ats("notify", "contacts", string(name)), Problem{Message: "no rule tells this contact anything"})
		}
	}
}

// twice says whether the zone's clocks show the opening again after its first time.
func (w Window) twice(first time.Time) bool {
	for _, later := range []time.Duration{30 * time.Minute, time.Hour, 2 * time.Hour} {
		if first.Add(later).Format(localTimeLayout) == string(w.Opens) {
			return true
		}
	}
	return false
}
