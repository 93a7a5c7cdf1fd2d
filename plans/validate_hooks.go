package plans

import (
	"slices"

	"github.com/drover-migration/drover/migration"
)

func (p *Plan) validateHooks() {
	if p.Hooks == nil {
		return
	}
	at, all := root.at("hooks"), p.Hooks.all()
	if len(all) == 0 && !p.src.incomplete(at) {
		p.src.report(at, Problem{Message: "no hook is given", Want: "an event with a hook, or no hooks"})
	}
	for _, h := range all {
		place := at.at(string(h.event))
		if !h.event.Frozen() {
			p.exactlyOne(place, []string{"webhook", "ssm"}, h.webhook != nil, h.ssm != nil)
		}
		if h.ssm != nil {
			p.validateDocument(h.ssm, place.at("ssm"))
		}
	}
	p.validateFrozen(at)
}

// validateDocument wants instances to run a document on.
func (p *Plan) validateDocument(d *Document, at *node) {
	p.noRepeats(at.at("workloads"), strs(d.Workloads))
	for i, name := range d.Workloads {
		place := at.at("workloads").item(i)
		if p.refer(place, "workload", name, known(p, "workloads", p.Workloads)) && !p.src.incomplete(root.ats("workloads", string(name))) &&
			p.Workloads[name].Target.EC2 == nil {
			p.src.report(place, Problem{Message: "the workload does not run on EC2: Systems Manager runs documents on instances",
				Found: quoted(string(name)), Want: "a workload with target.ec2"})
		}
	}
	onEC2 := slices.ContainsFunc(sortedKeys(p.Workloads), func(n Name) bool { return p.Workloads[n].Target.EC2 != nil })
	if len(d.Workloads) == 0 && !onEC2 && !p.src.incomplete(root.at("workloads")) {
		p.src.report(at, Problem{Message: "no workload runs on EC2: Systems Manager runs documents on instances", Want: "a webhook"})
	}
}

// validateFrozen wants what is called inside a freeze to fit into one.
func (p *Plan) validateFrozen(at *node) {
	h := p.Hooks
	if h.BeforeSeal != nil && !p.src.incomplete(root.at("customers")) &&
		!slices.ContainsFunc(p.Customers.List, func(c Customer) bool { return !c.stateless() }) {
		p.src.report(at.at("beforeSeal"), Problem{Message: "no customer has a dataset: nothing is frozen, and nothing is sealed",
			Want: "beforeOpen, or no hook"})
	}
	var takes migration.Duration
	var last *node
	if x := h.BeforeSeal; x != nil {
		takes, last = takes+x.Takes, at.ats("beforeSeal", "takes")
	}
	if x := h.BeforeOpen; x != nil {
		takes, last = takes+x.Takes, at.ats("beforeOpen", "takes")
	}
	if budget := p.Policy.FreezeBudget; last != nil && budget > 0 && takes >= budget {
		p.src.report(last, Problem{Message: "the hooks inside the freeze take all of its budget: no customer would ever move",
			Found: takes.String(), Want: "less than policy.freezeBudget, " + budget.Brief() + ", together"})
	}
}
