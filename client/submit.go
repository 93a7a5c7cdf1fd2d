package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/migration"
)

// SubmitOptions say who submits.
type SubmitOptions struct {
	By string
}

// Submitted answers a submit.
type Submitted struct {
	Plan     string `json:"plan"`
	Revision int    `json:"revision,omitempty"` // 0: it is numbered when a worker accepts it
	Digest   string `json:"digest"`
	Workflow string `json:"workflow"`
	Run      string `json:"run"`
	Already  bool   `json:"already"` // the same plan was running before; nothing was changed
}

// Submit starts the migration of a compiled plan. Submitting what runs already changes nothing and
// says so; another content under the name of a running plan is ErrAlreadyRunning. A plan that has
// ended may be submitted again: customers that are finished are not touched by it. Where somebody
// has terminated its migration, a pause holds, and batches that were taken back stay so; while no
// worker can say which these are it is ErrUnreachable.
func (c *Client) Submit(ctx context.Context, spec *migration.Spec, opts SubmitOptions) (Submitted, error) {
	doing := fmt.Sprintf("submit plan %s", spec.Plan)
	digest, err := spec.Digest()
	if err != nil {
		return Submitted{}, &Problem{Doing: doing, Why: err.Error(), Err: err}
	}
	ctx, cancel := within(ctx, DefaultTimeout)
	defer cancel()
	last, err := c.submitted(ctx, doing, migration.MigrationID(spec.Plan))
	if err != nil {
		return Submitted{}, err
	}
	others, err := c.othersRun(ctx, doing, spec.Plan, digest, last)
	if err != nil {
		return Submitted{}, err
	}
	former, err := c.former(ctx, doing, spec.Plan, last.run)
	if err != nil {
		return Submitted{}, err
	}
	out := Submitted{Plan: spec.Plan, Digest: digest, Workflow: migration.MigrationID(spec.Plan)}
	run, err := c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       out.Workflow,
		TaskQueue:                                migration.QueueMain,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		Memo:                                     map[string]any{migration.MemoDigest: digest, migration.MemoRevision: 0},
		TypedSearchAttributes: temporal.NewSearchAttributes(attrPlan.ValueSet(spec.Plan),
			attrPhase.ValueSet(string(migration.MigrationAccepted))),
		StaticSummary: fmt.Sprintf("%s: %d customers in %d batches", spec.Plan, len(spec.Customers),
			len(spec.Batches)),
	}, migration.WorkflowMigration, migration.MigrationInput{Spec: spec, By: opts.By, Continues: others, Former: former})
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	switch {
	case err == nil:
		out.Run = run.GetRunID()
		return out, nil
	case errors.As(err, &started):
		return c.alreadyRunning(ctx, doing, out)
	default:
		return Submitted{}, problem(doing, err)
	}
}

// othersRun says whether customers, batches or copies of a plan are still at work after its
// migration has ended, and refuses another content than theirs: they would go on by what they were
// told.
func (c *Client) othersRun(ctx context.Context, doing, plan, digest string, last submission) (bool, error) {
	// a running one is asked by starting it
	if last.Digest == "" || last.run.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return false, nil
	}
	query := fmt.Sprintf("%s = '%s' AND ExecutionStatus = 'Running' AND WorkflowType IN ('Batch', 'Customer', 'Workload', 'Replication')",
		migration.AttrPlan, plan)
	n, err := c.temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
	if err != nil {
		return false, problem(doing, err)
	}
	if n.GetCount() == 0 || last.Digest == digest {
		return n.GetCount() > 0, nil
	}
	return true, &Problem{
		Kind: ErrAlreadyRunning, Doing: doing,
		Why: fmt.Sprintf("%d workflows of this plan still work by %s, and this file's digest is %.12s", n.GetCount(), last, digest),
		Next: fmt.Sprintf("if its migration has just ended, try again in a moment; else submit the content of that revision again, and "+
			"change it with `drover amend`, or end it with `drover abort %s`", plan),
	}
}

// submission is the newest revision under a migration's id, and its newest run.
type submission struct {
	migration.Revision // without a digest: there is none
	run                *workflowpb.WorkflowExecutionInfo
}

func (s submission) String() string {
	if s.Revision.Revision == 0 {
		return fmt.Sprintf("the content submitted before (digest %.12s)", s.Digest)
	}
	return fmt.Sprintf("revision %d (digest %.12s)", s.Revision.Revision, s.Digest)
}

// submitted reads what a migration's memo says.
func (c *Client) submitted(ctx context.Context, doing, id string) (s submission, err error) {
	d, err := c.temporal.DescribeWorkflowExecution(ctx, id, "")
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		return s, nil
	}
	if err != nil {
		return s, problem(doing, err)
	}
	s.run = d.GetWorkflowExecutionInfo()
	memo := s.run.GetMemo().GetFields()
	for key, into := range map[string]any{migration.MemoDigest: &s.Digest, migration.MemoRevision: &s.Revision.Revision} {
		if p := memo[key]; p != nil {
			if err := c.payloads.FromPayload(p, into); err != nil {
				return s, &Problem{Doing: doing, Why: "read the " + key + " of the plan submitted before: " + err.Error(), Err: err}
			}
		}
	}
	return s, nil
}

// alreadyRunning tells a repeated submit from a different plan of the same name.
func (c *Client) alreadyRunning(ctx context.Context, doing string, out Submitted) (Submitted, error) {
	running, err := c.submitted(ctx, doing, out.Workflow)
	if err != nil {
		return Submitted{}, err
	}
	if running.Digest == out.Digest {
		out.Already, out.Run, out.Revision = true, running.run.GetExecution().GetRunId(), running.Revision.Revision
		return out, nil
	}
	return Submitted{}, &Problem{
		Kind: ErrAlreadyRunning, Doing: doing,
		Why: fmt.Sprintf("a plan of this name is running by %s, and this file's digest is %.12s", running, out.Digest),
		Next: fmt.Sprintf("`drover amend` shows the difference, and makes it the plan's next revision; look at the plan with "+
			"`drover status %s`, or end it with `drover abort %s`; another name only helps a plan of other customers and databases",
			out.Plan, out.Plan),
	}
}

// Inventory asks the workers of the plan's sites what the plan's machines look like and what stands
// in their way. It changes nothing. A newer inventory of the same plan replaces one that still
// runs. It waits as long as ctx allows.
func (c *Client) Inventory(ctx context.Context, spec *migration.Spec) (migration.InventoryReport, error) {
	var report migration.InventoryReport
	err := c.ask(ctx, question{
		doing: "take the inventory of plan " + spec.Plan, id: migration.CheckID(spec.Plan, migration.CheckInventory), plan: spec.Plan,
		summary: "inventory of " + spec.Plan, workflow: migration.WorkflowCheck,
		in: migration.CheckInput{Kind: migration.CheckInventory, Spec: spec},
	}, &report)
	return report, err
}

// Doctor asks what the systems of a plan say, whether or not a migration runs. It changes nothing
// but what in asks for. queue is one of a worker that does all of it by itself
// (migration.OwnQueue); "": the main worker and those of the plan's sites are asked. A newer
// question replaces one that still runs. It waits as long as ctx allows.
func (c *Client) Doctor(ctx context.Context, in migration.DoctorInput, queue string) (migration.DoctorReport, error) {
	var report migration.DoctorReport
	doing := "examine plan " + in.Spec.Plan
	var err error
	if in.Copying, err = c.copying(ctx, doing, in.Spec.Plan); err != nil {
		return report, err
	}
	err = c.ask(ctx, question{
		doing: doing, id: migration.DoctorID(in.Spec.Plan), plan: in.Spec.Plan,
		summary: "doctor of " + in.Spec.Plan, workflow: migration.WorkflowDoctor, in: in, queue: queue,
	}, &report)
	return report, err
}

// DoctorCommand is Doctor, which carries a command out before it looks. It is given as every other
// command is, so that who gives it is proved where the client is somebody's.
func (c *Client) DoctorCommand(ctx context.Context, in migration.DoctorInput, queue, name string,
	cmd migration.Command) (migration.DoctorReport, error) {
	var report migration.DoctorReport
	at := Aim{Plan: in.Spec.Plan, Doctor: true}
	doing := name + " " + at.String()
	var err error
	if in.Copying, err = c.copying(ctx, doing, in.Spec.Plan); err != nil {
		return report, err
	}
	in.Awaits = name
	err = c.ask(ctx, question{
		doing: doing, id: at.workflow(), plan: in.Spec.Plan, summary: doing, workflow: migration.WorkflowDoctor, in: in, queue: queue,
		then: func(ctx context.Context) error {
			_, err := c.update(ctx, name, at, cmd)
			return err
		},
	}, &report)
	return report, err
}

// Preview asks what a plan would do, and what stands in its way. It changes nothing, and stores
// nothing. queue is as for Doctor. It waits as long as ctx allows.
func (c *Client) Preview(ctx context.Context, spec *migration.Spec, queue string) (migration.PreviewReport, error) {
	var report migration.PreviewReport
	doing := "preview plan " + spec.Plan
	copying, err := c.copying(ctx, doing, spec.Plan)
	if err != nil {
		return report, err
	}
	err = c.ask(ctx, question{
		doing: doing, id: migration.PreviewID(spec.Plan), plan: spec.Plan, summary: "preview of " + spec.Plan,
		workflow: migration.WorkflowPreview, in: migration.PreviewInput{Spec: spec, Copying: copying}, queue: queue,
	}, &report)
	return report, err
}

// Observation asks the sites of a plan who wrote their databases while they were observed. A newer
// question replaces one that still runs. It waits as long as ctx allows.
func (c *Client) Observation(ctx context.Context, spec *migration.Spec) (report migration.ObservationReport, err error) {
	err = c.ask(ctx, question{
		doing: "read who writes the databases of plan " + spec.Plan, id: migration.ObservationID(spec.Plan), plan: spec.Plan,
		summary: "who writes the databases of " + spec.Plan, workflow: migration.WorkflowObservation, in: spec,
	}, &report)
	return report, err
}

// copying says whether copies of a plan's disks are under way.
func (c *Client) copying(ctx context.Context, doing, plan string) (bool, error) {
	n, err := c.temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Query: fmt.Sprintf("%s = '%s' AND ExecutionStatus = 'Running' AND WorkflowType = 'ReplicateVM'", migration.AttrPlan, bare(plan))})
	return n.GetCount() > 0, problem(doing, err)
}

// Evidence asks a main worker for the signed evidence of a batch: what was kept of it, if it has
// ended, and else how it stands now. A newer question replaces one that still runs. It waits as
// long as ctx allows.
func (c *Client) Evidence(ctx context.Context, spec *migration.Spec, batch string) (migration.EvidenceBundle, error) {
	var out migration.EvidenceBundle
	at := Aim{Plan: spec.Plan, Batch: batch}
	err := c.ask(ctx, question{
		doing: "make the evidence of " + at.String(), id: migration.EvidenceID(spec.Plan, batch), plan: spec.Plan,
		summary: "evidence of " + at.String(), workflow: migration.WorkflowEvidence, in: migration.EvidenceInput{Spec: spec, Batch: batch},
	}, &out)
	return out, err
}

// question is a workflow that is started for its answer.
type question struct {
	doing, id, plan, summary, workflow string
	in                                 any
	queue                              string                      // "": the main worker's
	then                               func(context.Context) error // once it is asked; nil: nothing
}

func (c *Client) ask(ctx context.Context, q question, answer any) error {
	run, err := c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       q.id,
		TaskQueue:                cmp.Or(q.queue, migration.QueueMain),
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING,
		TypedSearchAttributes:    temporal.NewSearchAttributes(attrPlan.ValueSet(q.plan)),
		StaticSummary:            q.summary,
	}, q.workflow, q.in)
	if err != nil {
		return problem(q.doing, err)
	}
	if q.then != nil {
		if err := q.then(ctx); err != nil {
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), DefaultTimeout)
			defer cancel()
			_ = c.temporal.CancelWorkflow(stop, run.GetID(), run.GetRunID())
			return err
		}
	}
	err = run.Get(ctx, answer)
	if ctx.Err() != nil { // nobody waits for the answer any more
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), DefaultTimeout)
		defer cancel()
		_ = c.temporal.CancelWorkflow(stop, run.GetID(), run.GetRunID())
		return problem(q.doing, ctx.Err())
	}
	var failed *temporal.WorkflowExecutionError
	if errors.As(err, &failed) {
		return &Problem{Doing: q.doing, Why: cause(err), Err: err, Next: "read the history of workflow " + run.GetID() +
			" in the Temporal UI"}
	}
	return problem(q.doing, err)
}

// cause is the innermost message of a failed workflow: the layers around it name workflows and
// activities, not the trouble.
func cause(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Message()
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}
