package plans

import (
	"fmt"
	"path"
	"strings"
)

func (p *Plan) validateDatasets() {
	sources, trees, folders, prefixes := map[string]Name{}, map[string]Name{}, map[string]Name{}, []bucketPrefix{}
	if p.State.Bucket != "" {
		prefixes = append(prefixes, bucketPrefix{string(p.State.Bucket), string(p.State.Prefix), "the state"})
	}
	for _, name := range sortedKeys(p.Datasets) {
		d, at := p.Datasets[name], root.ats("datasets", string(name))
		if _, taken := p.Workloads[name]; taken {
			p.src.report(at, Problem{Message: fmt.Sprintf("workload %q has this name already", name), Want: "another name for one of " +
				"them: a migration follows both by name"})
		}
		p.exactlyOne(at, []string{"postgres", "files"}, d.Postgres != nil, d.Files != nil)
		if d.Postgres != nil {
			p.validatePostgres(name, *d.Postgres, at.at("postgres"), sources)
		}
		if d.Files != nil {
			at = at.at("files")
			p.validateFence(*d.Files, at)
			p.unique(at.at("path"), trees, string(d.Files.Site)+":"+string(d.Files.Path), name)
			p.ownTrees(at.at("path"), folders, name, *d.Files)
			prefixes = p.ownPrefix(at.at("target"), prefixes,
				bucketPrefix{string(d.Files.Target.Bucket), string(d.Files.Target.Prefix), fmt.Sprintf("dataset %q", name)})
		}
	}
}

func (p *Plan) validatePostgres(name Name, d Postgres, at *node, sources map[string]Name) {
	p.refer(at.at("site"), "site", d.Site, known(p, "sites", p.Sites))
	p.refer(at.ats("target", "name"), "target", d.Target.Name, known(p, "targets", p.Targets))
	if d.Source.DSN != "" {
		p.unique(at.ats("source", "dsn"), sources, string(d.Site)+" "+string(d.Source.DSN), name)
	}
	if t := at.at("tenancy"); d.Tenancy.Column == "" && !p.src.incomplete(t) && !p.has(t, "schema", "database", "whole") {
		p.src.report(t, Problem{Message: `key "column" is missing`, Want: "the integer column that holds the tenant"})
	}
	for _, table := range sortedKeys(d.Tables) {
		t := d.Tables[table]
		p.exactlyOne(at.ats("tables", string(table)), []string{"column", "reference", "exclude"}, t.Column != "", t.Reference != "",
			t.Exclude)
	}
}

// unique reports the second dataset that has something of its own in common with another.
func (p *Plan) unique(at *node, seen map[string]Name, what string, name Name) {
	if other, ok := seen[what]; ok {
		p.src.report(at, Problem{Message: fmt.Sprintf("the same as of dataset %q", other), Hint: "data moves once"})
		return
	}
	seen[what] = name
}

// validateFence wants a database, reached by the same worker, that the application asks before it
// writes a file.
func (p *Plan) validateFence(f Files, at *node) {
	p.refer(at.at("site"), "site", f.Site, known(p, "sites", p.Sites))
	p.refer(at.ats("target", "name"), "target", f.Target.Name, known(p, "targets", p.Targets))
	if f.FencedBy == "" {
		if !p.src.incomplete(at.at("fencedBy")) && !p.has(at, "hook") {
			p.src.report(at, Problem{
				Message: "the dataset has no fence: nothing would keep the application from writing files during a Move",
				Want:    "fencedBy: a postgres dataset that it asks before it writes one",
			})
		}
		return
	}
	at = at.at("fencedBy")
	if !p.refer(at, "dataset", f.FencedBy, known(p, "datasets", p.Datasets)) {
		return
	}
	d := p.Datasets[f.FencedBy].Postgres
	switch {
	case d == nil && !p.src.incomplete(root.ats("datasets", string(f.FencedBy))):
		p.src.report(at, Problem{Message: fmt.Sprintf("dataset %q is no fence", f.FencedBy), Want: "a postgres dataset"})
	case d != nil && d.Site != "" && f.Site != "" && d.Site != f.Site:
		p.src.report(at, Problem{Message: fmt.Sprintf("dataset %q is reached at site %q, the files at %q", f.FencedBy, d.Site, f.Site),
			Want: "a database at the same site: one worker does the last pass and asks the fence"})
	}
}

// ownTrees wants no customer's folder of one dataset to lie in one of another: two passes would
// carry the same files, each by what its own bucket says.
func (p *Plan) ownTrees(at *node, folders map[string]Name, name Name, f Files) {
	var mine []string
	for _, c := range p.Customers.List {
		mine = append(mine, string(f.Site)+":"+path.Clean(strings.ReplaceAll(string(f.Path), customerVar, string(c.ID))))
	}
	within := func(folder string, of map[string]Name) (Name, bool) {
		for i := range len(folder) {
			if other, ok := of[folder[:i]]; folder[i] == '/' && ok {
				return other, true
			}
		}
		return "", false
	}
	own := map[string]Name{}
	for _, folder := range mine {
		own[folder] = name
	}
	for _, folder := range mine {
		if other, ok := within(folder, folders); ok {
			p.src.report(at, Problem{Message: fmt.Sprintf("a customer's folder lies within one of dataset %q", other),
				Want: "trees of which none is part of another"})
			break
		}
	}
	for _, folder := range sortedKeys(folders) {
		if _, ok := within(folder, own); ok {
			p.src.report(at, Problem{Message: fmt.Sprintf("a customer's folder of dataset %q lies within it", folders[folder]),
				Want: "trees of which none is part of another"})
			break
		}
	}
	for _, folder := range mine {
		if _, taken := folders[folder]; !taken {
			folders[folder] = name
		}
	}
}

type bucketPrefix struct{ bucket, prefix, owner string }

// ownPrefix wants keys of two owners never to meet: a pass deletes what its tree does not have.
func (p *Plan) ownPrefix(at *node, taken []bucketPrefix, mine bucketPrefix) []bucketPrefix {
	if mine.bucket == "" {
		return taken
	}
	literal := func(s string) string { before, _, _ := strings.Cut(s, customerVar); return before }
	for _, t := range taken {
		a, b := literal(t.prefix), literal(mine.prefix)
		if t.bucket == mine.bucket && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a)) {
			p.src.report(at, Problem{Message: "its keys would mix with those of " + t.owner, Want: "another bucket, or prefixes of " +
				"which none begins with the other"})
			break
		}
	}
	return append(taken, mine)
}
