package plans

import (
	"fmt"
	"slices"

	"github.com/drover-migration/drover/migration"
)

func (p *Plan) validateWorkloads() {
	owner := map[string]Name{} // "site/vm" -> workload
	for _, name := range sortedKeys(p.Workloads) {
		w, at := p.Workloads[name], root.ats("workloads", string(name))
		p.validateOrigin(w, at)
		if p.refer(at.at("site"), "site", w.Site, known(p, "sites", p.Sites)) && p.Sites[w.Site].VSphere == nil &&
			!p.src.incomplete(root.ats("sites", string(w.Site))) {
			p.src.report(at.at("site"), Problem{Message: fmt.Sprintf("site %q has no vsphere", w.Site),
				Want: "a site whose vCenter has the workload's VMs"})
		}
		if w.VMs != nil {
			p.validateVMs(name, w, at.at("vms"), owner)
		}
		p.validateState(w, at)
		p.validateWorkloadTarget(w, at.at("target"))
		if w.Ingress != nil {
			p.noRepeats(at.ats("ingress", "paths"), strs(w.Ingress.Paths))
		}
	}
}

// validateOrigin wants to know what serves the workload today: VMs of a site, or something else.
func (p *Plan) validateOrigin(w Workload, at *node) {
	if !p.exactlyOne(at, []string{"vms", "origin"}, w.VMs != nil, w.Origin != nil) {
		return
	}
	switch {
	case w.VMs != nil && w.Site == "" && !p.src.incomplete(at.at("site")):
		p.src.report(at, Problem{Message: `key "site" is missing`, Want: "the site whose vCenter has the workload's VMs"})
	case w.Origin != nil && w.Site != "":
		p.src.report(at.at("site"), Problem{Message: "a site of a workload without vms", Found: quoted(string(w.Site)), Want: "no site"})
	}
	if w.Origin != nil && w.Ingress == nil && !p.src.incomplete(at) {
		p.src.report(at, Problem{Message: "an origin without an ingress", Want: "ingress: where the workload takes requests"})
	}
	if w.Origin != nil {
		p.exactlyOne(at.at("origin"), []string{"targetGroup", "url"}, w.Origin.TargetGroup != "", w.Origin.URL != "")
	}
	if t, ok := p.Targets[w.Target.Name]; ok && w.Origin != nil && t.Account != "" {
		p.sameAccount(at.ats("origin", "targetGroup"), string(w.Origin.TargetGroup), w.Target.Name)
	}
}

func (p *Plan) validateVMs(name Name, w Workload, at *node, owner map[string]Name) {
	if !p.exactlyOne(at, []string{"names", "match"}, w.VMs.Names != nil, w.VMs.Match != nil) {
		return
	}
	if m := w.VMs.Match; m != nil && *m == (VMMatch{}) && !p.src.incomplete(at) {
		p.src.report(at.at("match"), Problem{Message: "would match every VM of the site", Want: "folder, tag or name"})
	}
	for i, vm := range w.VMs.Names {
		key := string(w.Site) + "/" + string(vm)
		if other, ok := owner[key]; ok && vm != "" {
			p.src.report(at.at("names").item(i), Problem{Message: fmt.Sprintf("VM %s belongs to workload %q already", quoted(string(vm)),
				other), Hint: "a VM moves once"})
			continue
		}
		owner[key] = name
	}
}

func (p *Plan) validateState(w Workload, at *node) {
	switch {
	case w.State != Choice(migration.StateDisk):
	case !w.AcceptDataLoss:
		p.src.report(at.at("state"), Problem{
			Message: "state is in the VM's disk, without acceptDataLoss", Want: "acceptDataLoss: true beside it",
			Hint: "going back would lose what the VM wrote meanwhile; moving its state into a dataset avoids that",
		})
	default:
		p.src.report(at.at("state"), Problem{Message: "state disk is " + reservedMessage, Want: "none or datasets"})
	}
}

// secretName is how variables are called that hold a password or a key themselves, and not its name
// or file.
var secretName = re(`(?i)(^|_)(password|passwd|passphrase|pwd|secret_key|secret_access_key|private_key|api_key|access_token|api_token)$`)

func (p *Plan) validateWorkloadTarget(w Workload, at *node) {
	t := w.Target
	for _, name := range sortedKeys(t.Config.Env) {
		if t.Config.Env[name] != "" && secretName.MatchString(string(name)) {
			p.src.report(at.ats("config", "env", string(name)), Problem{Message: "a secret in clear (not shown), by the variable's name",
				Want: "it under secrets (Fargate), or fetched with the instance's role (EC2)",
				Hint: "everybody who may read the task definition or the user data reads env"})
		}
	}
	if kind, one := p.targetKind(t, at); one {
		kind.validate(p, w, at)
	}
	if p.refer(at.at("name"), "target", t.Name, known(p, "targets", p.Targets)) {
		place := root.ats("targets", string(t.Name))
		target := p.Targets[t.Name]
		if target.VPC == "" && !p.src.incomplete(place) {
			p.src.report(at.at("name"), Problem{Message: fmt.Sprintf("target %q has no vpc", t.Name), Want: "vpc: the workload's target " +
				"group needs one"})
		}
		if len(target.Subnets) == 0 && !p.src.incomplete(place) {
			p.src.report(at.at("name"), Problem{Message: fmt.Sprintf("target %q has no subnets", t.Name),
				Want: "subnets: the workload runs in them"})
		}
	}
	for _, k := range sortedKeys(t.Config.Secrets) {
		if _, twice := t.Config.Env[k]; twice {
			p.src.report(at.ats("config", "secrets", string(k)),
				Problem{Message: fmt.Sprintf("variable %s is in env too", quoted(string(k)))})
		}
	}
}

// fargateMemory is what Fargate allows for each cpu: from, to and step in MiB.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
var fargateMemory = map[int]struct{ from, to, step int }{
	512: {1024, 4096, 1024}, 1024: {2048, 8192, 1024}, 2048: {4096, 16384, 1024},
	4096: {8192, 30720, 1024}, 8192: {16384, 61440, 4096}, 16384: {32768, 122880, 8192},
}

func (p *Plan) validateFargate(f Fargate, secrets bool, at *node) {
	if m, ok := fargateMemory[f.CPU]; ok && (f.Memory < m.from || f.Memory > m.to || f.Memory%m.step != 0) {
		p.src.report(at.at("memory"), Problem{Message: fmt.Sprintf("Fargate does not allow it with cpu %d", f.CPU),
			Found: fmt.Sprint(f.Memory), Want: fmt.Sprintf("%d to %d in steps of %d", m.from, m.to, m.step)})
	} else if f.CPU == 256 && !slices.Contains([]int{512, 1024, 2048}, f.Memory) {
		p.src.report(at.at("memory"), Problem{Message: "Fargate does not allow it with cpu 256", Found: fmt.Sprint(f.Memory),
			Want: "512, 1024 or 2048"})
	}
	if secrets && f.ExecutionRole == "" && !p.src.incomplete(at) {
		p.src.report(at, Problem{Message: "secrets without an executionRole", Want: "executionRole: ECS reads the secrets with it"})
	}
}
