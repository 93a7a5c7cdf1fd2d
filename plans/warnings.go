package plans

import (
	"fmt"
	"time"
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
	return w.problems.sorted()
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
