package plans

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/drover-migration/drover/migration"
)

// Compile turns a plan that Parse or Load has accepted into a spec. Equal plans give equal specs,
// whatever the order of their mappings: named things are sorted by name, customers by tenant and
// id. The spec's revision is 0 until submit numbers it.
func Compile(p *Plan) (*migration.Spec, error) {
	if p == nil || p.src == nil || len(p.src.problems) > 0 {
		return nil, errors.New("compile plan: it has not passed validation: load it with plans.Load or plans.Parse")
	}
	s := &migration.Spec{
		Plan:      string(p.Name),
		State:     migration.StateStore{Target: string(p.State.Target), Bucket: string(p.State.Bucket), Prefix: string(p.State.Prefix)},
		Sites:     each(p.Sites, Site.compile),
		Targets:   each(p.Targets, Target.compile),
		Workloads: each(p.Workloads, Workload.compile),
		Datasets:  each(p.Datasets, Dataset.compile),
		Routes:    each(p.Routes, Route.compile),
		Health:    p.Health.compile(),
		Policy: migration.Policy{
			FreezeBudget: p.Policy.FreezeBudget, Patience: p.Policy.Patience, Tries: p.Policy.Tries, StopAfter: p.Policy.StopAfter,
			BackConcurrency: p.Policy.BackConcurrency,
			Soak:            p.Policy.Soak, MaxLag: p.Policy.MaxLag,
		},
	}
	if p.Hooks != nil {
		s.Hooks = p.Hooks.compile()
	}
	if p.Notify != nil {
		s.Notify = p.Notify.compile()
	}
	if e := p.Evidence; e != nil {
		s.Evidence = &migration.Evidence{Key: e.Key, Names: e.Names}
	}
	for _, d := range s.Datasets {
		if d.Postgres != nil {
			d.Postgres.NewCustomers, d.Postgres.Synthetic = migration.Side(p.Policy.NewCustomers), p.Health.synthetic()
		}
	}
	if slices.ContainsFunc(p.Customers.List, Customer.stateless) { // else every customer's workflows would carry them for nothing
		s.Policy.Weights, s.Policy.Step = p.Policy.Weights, p.Policy.Step
	}
	for _, c := range p.Customers.List {
		s.Customers = append(s.Customers, c.compile())
	}
	slices.SortFunc(s.Customers, func(a, b migration.Customer) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID))
	})
	members := p.assign(func(*node, Problem) {})
	for i, b := range p.Batches {
		compiled, err := b.compile()
		if err != nil {
			return nil, err
		}
		for _, c := range members[i] {
			compiled.Customers = append(compiled.Customers, string(p.Customers.List[c].ID))
		}
		s.Batches = append(s.Batches, compiled)
	}
	return s, nil
}

// each compiles named things in the order of their names.
func each[V, T any](m map[Name]V, compile func(V, string) T) []T {
	var out []T
	for _, name := range sortedKeys(m) {
		out = append(out, compile(m[name], string(name)))
	}
	return out
}

// texts is a mapping of plain strings; nil for none.
func texts[K, V ~string](m map[K]V) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[string(k)] = string(v)
	}
	return out
}

// list is a list of plain strings; nil for none.
func list[T ~string](in []T) []string {
	if len(in) == 0 {
		return nil
	}
	return strs(in)
}

func (s Site) compile(name string) migration.Site {
	out := migration.Site{Name: name}
	if v := s.VSphere; v != nil {
		out.VSphere = &migration.VSphere{
			URL: string(v.URL), Datacenter: string(v.Datacenter), Credentials: v.Credentials,
			CAFile: string(v.CAFile), Thumbprint: string(v.Thumbprint),
		}
	}
	return out
}

func (t Target) compile(name string) migration.Target {
	out := migration.Target{
		Name: name, Account: string(t.Account), Region: string(t.Region), VPC: string(t.VPC),
		Subnets: list(t.Subnets), KMSKey: string(t.KMSKey), Tags: texts(t.Tags),
	}
	if t.Role != nil {
		out.Role = &migration.Role{ARN: string(t.Role.ARN), ExternalID: t.Role.ExternalID}
	}
	return out
}

func (w Workload) compile(name string) migration.Workload {
	out := migration.Workload{
		Name: name, Site: string(w.Site), State: migration.WorkloadState(w.State), AcceptDataLoss: w.AcceptDataLoss,
		Target: string(w.Target.Name), Config: w.Target.Config.compile(),
	}
	if w.Origin != nil {
		out.Origin = cmp.Or(string(w.Origin.TargetGroup), string(w.Origin.URL))
	}
	if w.VMs != nil {
		out.VMs.Names = list(w.VMs.Names)
		if m := w.VMs.Match; m != nil {
			out.VMs.Folder, out.VMs.Tag, out.VMs.Name = string(m.Folder), string(m.Tag), string(m.Name)
		}
	}
	if i := w.Ingress; i != nil {
		out.Ingress = &migration.Ingress{Port: i.Port, Paths: list(i.Paths), Protocol: string(i.Protocol)}
	}
	for _, k := range targetKinds {
		if k.given(w.Target) {
			k.compile(w.Target, &out)
		}
	}
	return out
}

func (c Config) compile() migration.Config {
	out := migration.Config{Env: texts(c.Env), Secrets: texts(c.Secrets), Identity: string(c.Identity)}
	if c.UserData != nil {
		out.UserData = c.UserData.text
	}
	return out
}

func (d Dataset) compile(name string) migration.Dataset {
	out := migration.Dataset{Name: name}
	if p := d.Postgres; p != nil {
		out.Postgres = p.compile()
	}
	if f := d.Files; f != nil {
		out.Files = &migration.Files{
			Site: string(f.Site), Path: string(f.Path), Target: string(f.Target.Name), Bucket: string(f.Target.Bucket),
			Prefix: string(f.Target.Prefix), FencedBy: string(f.FencedBy),
		}
	}
	return out
}

func (d Postgres) compile() *migration.Postgres {
	out := &migration.Postgres{
		Site: string(d.Site), DSN: d.Source.DSN, AddressFromTarget: string(d.Source.AddressFromTarget), Target: string(d.Target.Name),
		RDS: string(d.Target.RDS), Credentials: d.Target.Credentials, Column: string(d.Tenancy.Column),
	}
	for _, name := range sortedKeys(d.Tables) {
		t := d.Tables[name]
		out.Tables = append(out.Tables, migration.Table{Name: string(name), Column: string(t.Column),
			Reference: migration.Side(t.Reference), Exclude: t.Exclude})
	}
	if b := d.WALBudget; b != nil {
		out.WALBudgetBytes, out.OnWALExceeded = int64(b.Bytes), string(b.OnExceeded)
	}
	return out
}

func (h Health) compile() migration.Health {
	var out migration.Health
	for _, p := range h.Probes {
		out.Probes = append(out.Probes, p.compile())
	}
	if c := h.Compare; c != nil {
		out.Compare = &migration.Compare{ErrorRate: (*migration.Bound)(c.ErrorRate), P95: (*migration.Bound)(c.P95),
			MinSamples: c.MinSamples}
	}
	if h.Requests != nil {
		out.Requests = h.Requests.compile()
	}
	return out
}

func (c Customer) compile() migration.Customer {
	return migration.Customer{
		ID: string(c.ID), Name: string(c.Name), Tenant: c.Tenant, Hosts: list(c.Match.Host), Workloads: list(c.Uses.Workloads),
		Datasets: list(c.Uses.Datasets), Labels: texts(c.Labels), Zone: string(c.Zone), Contact: string(c.Contact),
		Blackouts: c.blackouts(),
	}
}

// blackouts are the times in which the customer does not begin to move.
func (c Customer) blackouts() (out []migration.Span) {
	zone, err := time.LoadLocation(string(c.Zone)) // "" is UTC
	if err != nil {
		return nil // it has been refused
	}
	for _, d := range c.Blackouts {
		if first, last, err := d.days(zone); err == nil {
			out = append(out, migration.Span{From: first.UTC(), To: last.AddDate(0, 0, 1).UTC()})
		}
	}
	return out
}

func (b Batch) compile() (migration.Batch, error) {
	out := migration.Batch{
		Name: string(b.Name), Concurrency: b.Concurrency, MaxUnbaked: b.MaxUnbaked, Rollback: migration.Reach(b.Rollback),
		Bake: b.bake(), Ticket: string(b.Ticket),
	}
	if b.Approval != nil {
		out.Approvals = b.Approval.By
	}
	if b.Requires != nil && b.Requires.Observe != nil {
		o := migration.Observe(*b.Requires.Observe)
		out.Requires = &migration.Requires{Observe: &o}
	}
	if w := b.Window; w != nil {
		opens, err := w.opens()
		if err != nil {
			return out, err
		}
		out.Window = &migration.Window{Opens: opens.UTC(), For: w.For, Zone: string(w.Zone)}
	}
	return out, nil
}
