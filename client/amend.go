package client

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/migration"
)

// Amendment asks the workers what a new content of a running plan would change, and what stands in
// its way. The content goes into the state bucket; the plan is not touched. It waits as long as ctx
// allows.
func (c *Client) Amendment(ctx context.Context, spec *migration.Spec) (migration.AmendmentReport, error) {
	var out migration.AmendmentReport
	base, err := c.Revision(ctx, spec.Plan)
	if err != nil {
		return out, err
	}
	digest, err := spec.Digest()
	if err != nil {
		return out, &Problem{Doing: "amend plan " + spec.Plan, Why: err.Error(), Err: err}
	}
	if base.Digest == "" {
		return out, &Problem{Kind: ErrRefused, Doing: "amend plan " + spec.Plan, Why: "its migration has not read it yet",
			Next: "try again in a moment; if it stays so, see that a main worker runs"}
	}
	err = c.ask(ctx, question{
		doing: "compare plan " + spec.Plan + " with what runs", id: migration.AmendmentID(spec.Plan, digest), plan: spec.Plan,
		summary:  fmt.Sprintf("an amendment of %s, digest %.12s", spec.Plan, digest),
		workflow: migration.WorkflowAmendment, in: migration.AmendmentInput{Spec: spec, Base: base},
	}, &out)
	return out, err
}

// Amend makes a content that an Amendment has stored the newest revision of a running plan, if the
// command's Amend names the revision that holds. The same content once more changes nothing.
func (c *Client) Amend(ctx context.Context, plan string, cmd migration.Command) (migration.Accepted, error) {
	return c.update(ctx, migration.UpdateAmend, Aim{Plan: plan}, cmd)
}
