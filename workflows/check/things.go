package check

import (
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/compute"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// things are what a look at vCenter, AWS and the state bucket has found.
type things struct {
	things  []migration.Thing
	removed []string
	unseen  []string // places that did not answer, with the reason
}

// look lists what Drover has made for a plan outside the databases. With remove, what is left over
// goes: images and snapshots that nothing is launched from, and snapshots in vCenter while no copy
// is under way.
func look(ctx workflow.Context, ref migration.SpecRef, spec *migration.Spec, copying, remove bool) (out things) {
	for _, t := range spec.Targets {
		var r compute.SurveyResult
		l := work.Question.Within(lookWithin).In(ctx, "what Drover has made in target "+t.Name)
		if err := workflow.ExecuteActivity(l, work.Compute.SurveyTarget, compute.SurveyRequest{Plan: spec.Plan, Target: t,
			Workloads: bare(spec.Workloads), Copying: copying, Remove: remove}).Get(l, &r); err != nil {
			out.unseen = append(out.unseen, "target "+t.Name+": "+work.Reason(err))
		}
		out.add(r.Things, r.Removed)
	}
	for _, site := range spec.Sites {
		if site.VSphere == nil {
			continue
		}
		var r vsphere.MadeSnapshotsResult
		s := work.Examination.At(ctx, site.Name, "snapshots that Drover has made at "+site.Name)
		if err := workflow.ExecuteActivity(s, work.VSphere.MadeSnapshots,
			vsphere.MadeSnapshotsRequest{Plan: spec.Plan, Site: site, Remove: remove && !copying}).Get(s, &r); err != nil {
			out.unseen = append(out.unseen, "site "+site.Name+": "+work.Reason(err))
		}
		if !copying {
			for i := range r.Things {
				r.Things[i].Left = "no copy of disks is under way"
			}
		}
		out.add(r.Things, r.Removed)
	}
	out.routes(ctx, ref, spec)
	var r state.SweepResult
	l := work.Question.Within(lookWithin).In(ctx, "what is in the state bucket")
	if err := workflow.ExecuteActivity(l, work.State.SweepState, state.SweepRequest{Spec: without(ref)}).Get(l, &r); err != nil {
		out.unseen = append(out.unseen, "state bucket: "+work.Reason(err))
	}
	out.add(r.Things, r.Removed)
	return out
}

func (t *things) routes(ctx workflow.Context, ref migration.SpecRef, spec *migration.Spec) {
	if len(spec.Routes) == 0 {
		return
	}
	var r traffic.SurveyRoutesResult
	l := work.Question.Within(lookWithin).In(ctx, "rules and target groups that Drover has made")
	if err := workflow.ExecuteActivity(l, work.Traffic.SurveyRoutes, traffic.SurveyRoutesRequest{Spec: ref}).Get(l, &r); err != nil {
		t.unseen = append(t.unseen, "routes: "+work.Reason(err))
	}
	t.add(r.Things, nil)
}

func (t *things) add(found []migration.Thing, removed []string) {
	t.things, t.removed = append(t.things, found...), append(t.removed, removed...)
}

// bare are workloads without what they are told on AWS: it is large, and no look's business.
func bare(in []migration.Workload) (out []migration.Workload) {
	for _, w := range in {
		w.Config = migration.Config{}
		out = append(out, w)
	}
	return out
}

// without is a reference that does not carry the plan.
func without(ref migration.SpecRef) migration.SpecRef {
	ref.Inline = nil
	return ref
}
