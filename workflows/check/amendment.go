package check

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// Amendment says what a new content of a running plan would change, what of that has begun already,
// and what preflight finds of the plan as it would be. The content goes into the state bucket; the
// plan is not touched.
func Amendment(ctx workflow.Context, in migration.AmendmentInput) (migration.AmendmentReport, error) {
	out := migration.AmendmentReport{Base: in.Base}
	if in.Spec == nil || in.Spec.Plan != in.Base.Plan {
		return out, temporal.NewNonRetryableApplicationError("amendment: no content of the plan was given", "BadRequest", nil)
	}
	target, _ := in.Spec.Target(in.Spec.State.Target)
	if was := in.Base.Target; in.Spec.State != in.Base.State || target.Account != was.Account || target.Region != was.Region {
		out.Findings = []migration.Finding{{Severity: migration.Blocker, Check: "amend", Subject: "state",
			Reason: "the bucket of the plan's state is settled when it is submitted: it holds what this plan knows",
			Remedy: "leave state, and the target that it names, as they were"}}
		return out, nil
	}
	s := work.Question.In(ctx, "store the content")
	if err := workflow.ExecuteActivity(s, work.State.SaveSpec, state.SaveSpecRequest{Spec: in.Spec}).Get(s, &out.Spec); err != nil {
		return out, err
	}
	var judged state.Judgement
	j := work.Question.In(ctx, "what it changes, and what of that has begun")
	req := state.JudgeAmendmentRequest{Base: in.Base, Next: out.Spec}
	if err := workflow.ExecuteActivity(j, work.State.JudgeAmendment, req).Get(j, &judged); err != nil {
		return out, err
	}
	out.Difference, out.Findings = judged.Difference, judged.Refused
	if out.Difference.Empty() || len(out.Findings) > 0 {
		return out, nil
	}
	report, err := Preflight(ctx, out.Spec)
	out.Findings = report.Findings
	return out, err
}

// ReadPlan answers with the content of a revision.
func ReadPlan(ctx workflow.Context, ref migration.SpecRef) (*migration.Spec, error) {
	var out *migration.Spec
	q := work.Question.In(ctx, "read the plan")
	err := workflow.ExecuteActivity(q, work.State.ReadSpec, ref).Get(q, &out)
	return out, err
}
