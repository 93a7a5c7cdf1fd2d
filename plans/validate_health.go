package plans

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover-migration/drover/migration"
)

func (p *Plan) validateHealth() {
	at := root.at("health")
	for i, pr := range p.Health.Probes {
		place := at.at("probes").item(i)
		one := p.exactlyOne(place, []string{"http", "tcp", "targetGroup", "write", "query"},
			pr.HTTP != nil, pr.TCP != nil, pr.TargetGroup != nil, pr.Write != nil, pr.Query != nil)
		switch {
		case !one || p.src.incomplete(place):
		case pr.HTTP != nil:
			p.validateProbePath(pr.HTTP.Path, place.ats("http", "path"))
		case pr.Write != nil:
			p.validateProbePath(pr.Write.Path, place.ats("write", "path"))
			p.validateWriter(*pr.Write, place.at("write"))
		case pr.Query != nil:
			p.validateQuery(*pr.Query, place.at("query"))
		}
	}
	if c := p.Health.Compare; c != nil && c.ErrorRate == nil && c.P95 == nil && !p.src.incomplete(at.at("compare")) {
		p.src.report(at.at("compare"), Problem{Message: "compares nothing", Want: "errorRate, p95 or both"})
	}
	if r := p.Health.Requests; r != nil {
		p.validateRequests(*r, at.at("requests"))
	}
}

// window stands in a query for the time that is counted over.
const window = "{window}"

func (p *Plan) validateRequests(r Requests, at *node) {
	if r.Failed == nil && r.Retried == nil && !p.src.incomplete(at) {
		p.src.report(at, Problem{Message: "counts nothing", Want: "failed, retried or both"})
	}
	for key, c := range map[string]*Count{"failed": r.Failed, "retried": r.Retried} {
		if c == nil || p.src.incomplete(at.at(key)) {
			continue
		}
		p.exactlyOne(at.at(key), []string{"cloudwatch", "prometheus"}, c.CloudWatch != nil, c.Prometheus != nil)
		if q := c.Prometheus; q != nil && q.Query != "" && !strings.Contains(string(q.Query), window) {
			p.src.report(at.ats(key, "prometheus", "query"), Problem{Message: "it does not say over which time it counts",
				Found: quoted(string(q.Query)), Want: "a range of [" + window + "], as in increase(errors_total[" + window + "])"})
		}
	}
}

// validateWriter wants a tenant that is nobody's.
func (p *Plan) validateWriter(w WriteProbe, at *node) {
	for _, c := range p.Customers.List {
		if c.Tenant == w.Tenant && w.Tenant != 0 {
			p.src.report(at.at("tenant"), Problem{Message: fmt.Sprintf("it is the tenant of customer %q", c.ID),
				Found: fmt.Sprint(w.Tenant), Want: "a tenant made up for the probe: it may write on both sides"})
		}
		if w.Host != "" && slices.Contains(c.Match.Host, w.Host) {
			p.src.report(at.at("host"), Problem{Message: fmt.Sprintf("it is a host of customer %q", c.ID), Found: quoted(string(w.Host)),
				Want: "the host of a tenant made up for the probe"})
		}
	}
}

func (p *Plan) validateQuery(q QueryProbe, at *node) {
	p.exactlyOne(at, []string{"cloudwatch", "prometheus"}, q.CloudWatch != nil, q.Prometheus != nil)
	if c := q.CloudWatch; c != nil && c.Over.D()%time.Minute != 0 {
		p.src.report(at.ats("cloudwatch", "over"),
			Problem{Message: "not a whole number of minutes", Found: quoted(c.Over.String()), Want: "1m, 5m, ..."})
	}
}

// validateProbePath wants a path that some workload of every customer takes: sent to nobody, a
// probe says nothing about the customer.
func (p *Plan) validateProbePath(path URLPath, at *node) {
	if p.Workloads == nil || p.src.incomplete(root.at("workloads")) || p.src.incompleteKeys(root.ats("health", "probes")) {
		return // what is missing may take it
	}
	takes := map[Name]bool{} // workloads that listen
	for name, w := range p.Workloads {
		if w.Ingress != nil {
			takes[name] = slices.ContainsFunc(w.Ingress.Paths,
				func(pattern PathPattern) bool { return migration.PathMatches(string(pattern), string(path)) })
		}
	}
	hint := ""
	if !p.has(root.at("health"), "probes") {
		hint = "it is the default of health.probes, which the plan leaves out"
	}
	refuse := func(who string, listen []Name) {
		var patterns []string
		for _, w := range listen {
			patterns = append(patterns, strs(p.Workloads[w].Ingress.Paths)...)
		}
		p.src.report(at, Problem{
			Message: who + " takes this path: the probe would be sent to nobody", Found: quoted(string(path)),
			Want: "a path that ingress.paths take: " + listed(slices.Compact(slices.Sorted(slices.Values(patterns)))), Hint: hint,
		})
	}
	if all := sortedKeys(takes); len(all) > 0 && !slices.ContainsFunc(all, func(w Name) bool { return takes[w] }) {
		refuse("no workload", all)
		return
	}
	for i, c := range p.Customers.List {
		if listen := p.listening(c, root.at("customers").item(i), takes); len(listen) > 0 &&
			!slices.ContainsFunc(listen, func(w Name) bool { return takes[w] }) {
			refuse(fmt.Sprintf("no workload of customer %q", c.ID), listen)
			return // for the other customers it is the same mistake
		}
	}
}

// listening are a customer's workloads that take requests; none where that cannot be said.
func (p *Plan) listening(c Customer, at *node, takes map[Name]bool) (out []Name) {
	if p.src.incomplete(at) {
		return nil
	}
	for _, w := range c.Uses.Workloads {
		if _, known := p.Workloads[w]; !known {
			return nil
		}
		if _, listens := takes[w]; listens {
			out = append(out, w)
		}
	}
	return out
}
