package plans

import "github.com/drover-migration/drover/migration"

// targetKind is a kind of target's part of a plan. Its schema is its key of WorkloadTarget.
type targetKind struct {
	kind  migration.TargetKind
	given func(WorkloadTarget) bool
	// validate reports what no single value shows. at is the workload's target.
	validate func(p *Plan, w Workload, at *node)
	compile  func(WorkloadTarget, *migration.Workload)
}

var targetKinds = []targetKind{
	{
		kind:  migration.KindEC2,
		given: func(t WorkloadTarget) bool { return t.EC2 != nil },
		validate: func(p *Plan, w Workload, at *node) {
			if len(w.Target.Config.Secrets) > 0 {
				p.src.report(at.ats("config", "secrets"), Problem{Message: "secrets are filled in by ECS, not on EC2",
					Want: "user data that reads them with the instance's profile"})
			}
			if w.Origin != nil {
				p.src.report(at.at("ec2"), Problem{Message: "ec2 of a workload without vms", Want: "vms: their disks become the instances"})
			}
		},
		compile: func(t WorkloadTarget, out *migration.Workload) {
			e := t.EC2
			out.EC2 = &migration.EC2{
				InstanceType: string(e.InstanceType), SecurityGroups: list(e.SecurityGroups), Profile: string(e.Profile),
				Conversion: string(e.Conversion), License: string(e.License),
			}
		},
	},
	{
		kind:  migration.KindFargate,
		given: func(t WorkloadTarget) bool { return t.Fargate != nil },
		validate: func(p *Plan, w Workload, at *node) {
			if w.Target.Config.UserData != nil {
				p.src.report(at.ats("config", "userData"), Problem{Message: "a container has no user data", Want: "env and secrets"})
			}
			p.validateFargate(*w.Target.Fargate, len(w.Target.Config.Secrets) > 0, at.at("fargate"))
		},
		compile: func(t WorkloadTarget, out *migration.Workload) {
			f := t.Fargate
			out.Fargate = &migration.Fargate{
				Cluster: string(f.Cluster), Image: string(f.Image), CPU: f.CPU, Memory: f.Memory, Count: f.Count,
				TaskRole: string(f.TaskRole), ExecutionRole: string(f.ExecutionRole), SecurityGroups: list(f.SecurityGroups),
			}
		},
	},
}

// targetKind is the kind of target that a workload has; false: it has none, or several, which is
// reported.
func (p *Plan) targetKind(t WorkloadTarget, at *node) (kind targetKind, one bool) {
	var keys []string
	var given []bool
	for _, k := range targetKinds {
		keys, given = append(keys, string(k.kind)), append(given, k.given(t))
		if k.given(t) {
			kind = k
		}
	}
	return kind, p.exactlyOne(at, keys, given...)
}
