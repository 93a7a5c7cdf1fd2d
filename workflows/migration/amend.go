package migration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

// amendPatience is how long each step of an amendment may take: no batch gets its turn meanwhile.
const amendPatience = 2 * time.Minute

// mayAmend refuses an amendment that was made against another revision than the one that holds, or
// while another is looked at. The same content once more is taken, and changes nothing.
func (m *run) mayAmend(cmd migration.Command) error {
	if err := m.allowed(migration.UpdateAmend); err != nil {
		return err
	}
	switch {
	case cmd.Amend == nil: // the list of what may be done
		if cmd.By == "" {
			return nil
		}
		return errors.New("amend: no content was given")
	case cmd.Amend.Digest == m.Spec.Digest:
		return nil
	case m.changing != "":
		return fmt.Errorf("%s changes the schema at this moment: ask again when that is made", m.changing)
	case m.amending != "":
		return fmt.Errorf("%s amends the plan at this moment: look at what it is then, and ask again", m.amending)
	case cmd.Amend.Revision != m.Spec.Revision:
		return fmt.Errorf("the plan's revision is %d (digest %.12s), and the amendment was made against %d: look at the difference to the "+
			"present one, and ask again", m.Spec.Revision, m.Spec.Digest, cmd.Amend.Revision)
	case cmd.Amend.Plan != m.Spec.Plan || cmd.Amend.State != m.Spec.State:
		return fmt.Errorf("amend: the content is of plan %q, with its state in s3://%s/%s", cmd.Amend.Plan, cmd.Amend.State.Bucket,
			cmd.Amend.State.Prefix)
	}
	return nil
}

// amend makes another content the plan's newest revision. It is that once the state bucket says so;
// everybody whom it concerns is told after that, and again with each roll call.
func (m *run) amend(ctx workflow.Context, cmd migration.Command) (string, error) {
	if cmd.Amend.Digest == m.Spec.Digest {
		return fmt.Sprintf("nothing changes: revision %d has this content", m.Spec.Revision), nil
	}
	m.amending = cmd.By
	defer func() { m.amending = "" }()
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	next := m.Spec
	next.Digest = cmd.Amend.Digest
	var judged state.Judgement
	j := work.Question.Within(amendPatience).In(ctx, "what the amendment changes, and what of that has begun")
	if err := workflow.ExecuteActivity(j, work.State.JudgeAmendment, state.JudgeAmendmentRequest{Base: m.Spec, Next: next}).Get(j,
		&judged); err != nil {
		return "", refusal(work.Reason(err))
	}
	if len(judged.Refused) > 0 {
		return "", refusal(reasons(judged.Refused))
	}
	var plan state.Plan
	l := work.Question.Within(amendPatience).In(ctx, "read the amended plan")
	if err := workflow.ExecuteActivity(l, work.State.LoadPlan, next).Get(l, &plan); err != nil {
		return "", refusal(work.Reason(err))
	}
	if err := m.stillMay(plan); err != nil {
		return "", refusal(err.Error())
	}
	c := work.Question.Within(amendPatience).In(ctx, fmt.Sprintf("make it revision %d", m.Spec.Revision+1))
	req := state.AmendPlanRequest{Base: m.Spec, Digest: next.Digest, By: cmd.By}
	if err := workflow.ExecuteActivity(c, work.State.AmendPlan, req).Get(c, &next); err != nil {
		if work.Is(err, state.ErrorRevision) { // this migration was reset, and has forgotten what was amended since
			if err := m.catchUp(ctx); err != nil {
				workflow.GetLogger(ctx).Warn("the newest revision is not read", "error", err)
			}
		}
		return "", refusal(work.Reason(err))
	}
	m.Note(ctx, fmt.Sprintf("amended: revision %d, digest %.12s", next.Revision, next.Digest), cmd)
	m.adopt(ctx, next, plan)
	return fmt.Sprintf("revision %d holds", next.Revision), nil
}

func refusal(why string) error { return temporal.NewNonRetryableApplicationError(why, "Amend", nil) }

func reasons(found []migration.Finding) string {
	var out []string
	for _, f := range found {
		out = append(out, f.Subject+": "+f.Reason+" ("+f.Remedy+")")
	}
	return strings.Join(out, "; ")
}

// stillMay says whether the batches that have had their turn come first in an amended plan. From
// here until the amendment holds no other gets it.
func (m *run) stillMay(plan state.Plan) error {
	if err := m.allowed(migration.UpdateAmend); err != nil {
		return err
	}
	had := m.Names[:m.Started]
	if names := namesOf(plan); len(names) < len(had) || !slices.Equal(names[:len(had)], had) {
		return fmt.Errorf("the batches %s have had their turn already: they stay first, in this order", strings.Join(had, ", "))
	}
	return nil
}

func namesOf(p state.Plan) (out []string) {
	for _, b := range p.Batches {
		out = append(out, b.Name)
	}
	return out
}

// adopt goes on by another revision, and tells everybody.
func (m *run) adopt(ctx workflow.Context, spec migration.SpecRef, plan state.Plan) {
	gone := slices.DeleteFunc(slices.Clone(m.Names), func(name string) bool { return slices.Contains(namesOf(plan), name) })
	added := slices.DeleteFunc(slices.Clone(plan.Batches), func(b migration.Batch) bool { return slices.Contains(m.Names, b.Name) })
	m.Spec, m.plan, m.Names = spec, plan, namesOf(plan)
	m.remember(ctx)
	for _, b := range added {
		m.Batches[b.Name] = waits(b)
	}
	// Who takes customers over is there before anybody lets them go.
	for batches := range slices.Chunk(added, chunk) {
		work.Together(ctx, batches, func(ctx workflow.Context, b migration.Batch) { m.startBatch(ctx, b, nil) })
	}
	m.tellBatches(ctx, mail.SignalWord, m.word(ctx))
	for _, name := range gone {
		m.Tell(ctx, migration.BatchID(m.Spec.Plan, name), mail.SignalWord, m.word(ctx)) // it lets its customers go, then ends by itself
		delete(m.Batches, name)
		delete(m.Closed, name)
	}
	for _, d := range m.plan.Datasets {
		if _, begun := m.Pieces[d.Name]; begun {
			m.Tell(ctx, migration.ReplicationID(m.Spec.Plan, d.Name), mail.SignalAsk, m.ask())
		}
	}
	for _, w := range m.plan.Workloads {
		if _, begun := m.Pieces[w.Name]; !begun && m.Observing.Words == "" {
			m.startWorkload(ctx, w.Name)
		}
	}
	if m.Post.Retell(plan.Told); len(plan.Told) > 0 {
		m.Post.Begin(m.Spec)
	}
	m.judge(ctx)
	m.Set(ctx, m.Phase, m.waitsFor(), m.because())
}

// remember has Temporal say which revision holds, also when the migration does not run.
func (m *run) remember(ctx workflow.Context) {
	memo := map[string]any{migration.MemoDigest: m.Spec.Digest, migration.MemoRevision: m.Spec.Revision}
	if err := workflow.UpsertMemo(ctx, memo); err != nil {
		workflow.GetLogger(ctx).Warn("the memo was not updated", "error", err)
	}
}

// catchUp has a migration that was reset go on by the newest revision: it has forgotten those
// since. Where it was not reset to its start, it learns that from the next amendment.
func (m *run) catchUp(ctx workflow.Context) error {
	var newest migration.SpecRef
	l := work.Question.In(ctx, "which revision holds")
	if err := workflow.ExecuteActivity(l, work.State.NewestRevision, m.Spec).Get(l, &newest); err != nil {
		return err
	}
	if newest.Revision <= m.Spec.Revision {
		return nil
	}
	var plan state.Plan
	l = work.Question.In(ctx, "read the plan")
	if err := workflow.ExecuteActivity(l, work.State.LoadPlan, newest).Get(l, &plan); err != nil {
		return err
	}
	m.Note(ctx, fmt.Sprintf("goes on with revision %d", newest.Revision), migration.Command{By: mail.ByDrover})
	m.adopt(ctx, newest, plan)
	return nil
}
