package client

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/drover-migration/drover/migration"
)

// Spec is the content by which a migration goes on. Its first is read from the history of the
// migration's first run, and needs no worker; one that came by an amendment is in the state bucket,
// which a worker reads. ErrNotFound: there is no such plan, or Temporal no longer keeps that run.
func (c *Client) Spec(ctx context.Context, plan string) (*migration.Spec, error) {
	at := Aim{Plan: plan}
	doing := "read what was submitted as " + at.String()
	ctx, cancel := within(ctx, DefaultTimeout)
	defer cancel()
	now, err := c.submitted(ctx, doing, at.workflow())
	if err != nil {
		return nil, err
	}
	if now.run == nil {
		return nil, c.missing(ctx, &Problem{Kind: ErrNotFound, Doing: doing, Why: "there is no such plan"}, at)
	}
	first, err := c.firstSpec(ctx, doing, at, now.run.GetFirstRunId())
	if now.Digest == "" || err == nil && first.named(now.Digest) {
		if err == nil {
			first.Revision = max(first.Revision, now.Revision.Revision, 1)
		}
		return first.Spec, err
	}
	ref, err := c.Revision(ctx, plan)
	if err != nil {
		return nil, err
	}
	var out migration.Spec
	err = c.ask(ctx, question{doing: doing, id: migration.ReadPlanID(plan), plan: plan,
		summary: fmt.Sprintf("revision %d of %s", ref.Revision, plan), workflow: migration.WorkflowReadPlan, in: ref}, &out)
	return &out, err
}

// Revision is where the newest revision of a running plan is. It asks a worker.
func (c *Client) Revision(ctx context.Context, plan string) (ref migration.SpecRef, err error) {
	ctx, cancel := within(ctx, DefaultTimeout)
	defer cancel()
	v, err := c.temporal.QueryWorkflow(ctx, migration.MigrationID(plan), "", migration.QuerySpec)
	if err == nil {
		err = v.Get(&ref)
	}
	return ref, c.missing(ctx, problem("read the revision of plan "+plan, err), Aim{Plan: plan})
}

// submittedSpec is what a run was started with.
type submittedSpec struct{ *migration.Spec }

func (s submittedSpec) named(digest string) bool {
	own, err := s.Digest()
	return err == nil && own == digest
}

// firstSpec reads what the first run of a migration was started with.
func (c *Client) firstSpec(ctx context.Context, doing string, at Aim, run string) (out submittedSpec, err error) {
	events := c.temporal.GetWorkflowHistory(ctx, at.workflow(), run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if !events.HasNext() {
		return out, &Problem{Kind: ErrNotFound, Doing: doing, Why: "its history is empty"}
	}
	first, err := events.Next()
	var gone *serviceerror.NotFound
	switch {
	case errors.As(err, &gone):
		return out, &Problem{Kind: ErrNotFound, Doing: doing, Why: "Temporal no longer keeps the migration's first run", Err: err}
	case err != nil:
		return out, problem(doing, err)
	}
	var in migration.MigrationInput
	if err := c.payloads.FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in); err != nil {
		return out, &Problem{Doing: doing, Why: fmt.Sprintf("it cannot be read: %v", err), Err: err}
	}
	if in.Spec == nil {
		return out, &Problem{Kind: ErrNotFound, Doing: doing, Why: "the migration was started without its plan"}
	}
	return submittedSpec{in.Spec}, nil
}
