package migration

// TargetKind is what a workload runs on at AWS.
type TargetKind string

// The kinds of target. What each needs is one row in a table of each layer: its part of a plan in
// plans, what brings it up in workflows/workload, what is checked and taken away in compute.
const (
	KindEC2     TargetKind = "ec2"
	KindFargate TargetKind = "fargate"
)

// TargetKinds are all kinds of target.
var TargetKinds = []TargetKind{KindEC2, KindFargate}

// Kind says what the workload runs on at AWS.
func (w Workload) Kind() TargetKind {
	if w.Fargate != nil {
		return KindFargate
	}
	return KindEC2
}

// RunsDisks says whether the workload runs the disks of its VMs at AWS; otherwise it leaves them
// behind.
func (w Workload) RunsDisks() bool { return w.Kind() == KindEC2 }

// OnVMs says whether VMs of a site serve the workload today, which somebody can list, copy and shut
// down.
func (w Workload) OnVMs() bool { return w.Site != "" }
