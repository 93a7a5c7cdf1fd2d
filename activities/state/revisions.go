package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// Plans reads running plans, as any client does.
type Plans interface {
	Migration(ctx context.Context, plan string) (migration.MigrationStatus, error)
	Batch(ctx context.Context, plan, batch string) (migration.BatchStatus, error)
}

// ErrorRevision is the type of errors that say that another revision holds.
const ErrorRevision = "Revision"

// revision is a revision of a plan, in the state bucket: one object a revision, which is made on
// the condition that nobody else has made it, and never changes. Where two make it at once, one
// fails.
type revision struct {
	Digest string    `json:"digest"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"` // by the worker's clock
}

func revisionKey(plan string, n int) string {
	return fmt.Sprintf("plans/%s/revisions/%d.json", plan, n)
}

// revision reads the nth. objects.ErrNotFound: there is none.
func (a *Activities) revision(ctx context.Context, ref migration.SpecRef, n int) (r revision, err error) {
	body, _, err := a.objects.Get(ctx, ref.State, ref.Target, revisionKey(ref.Plan, n))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(body, &r); err != nil || r.Digest == "" {
		return r, permanent.New("SpecCorrupt", err, "plan %q: %s cannot be read; restore the object's first version", ref.Plan,
			objects.Address(ref.State, revisionKey(ref.Plan, n)))
	}
	return r, nil
}

// newest is the last revision from that of ref on. A revision of 0: there is none.
func (a *Activities) newest(ctx context.Context, ref migration.SpecRef) (migration.SpecRef, error) {
	out := ref
	for n := max(ref.Revision, 1); ; n++ {
		r, err := a.revision(ctx, ref, n)
		switch {
		case errors.Is(err, objects.ErrNotFound):
			return out, nil
		case err != nil:
			return out, err
		}
		out.Revision, out.Digest = n, r.Digest
	}
}

// create makes ref a revision. Another content under its number is ErrorRevision.
func (a *Activities) create(ctx context.Context, ref migration.SpecRef, by string) error {
	body, err := json.Marshal(revision{Digest: ref.Digest, By: by, At: time.Now().UTC()})
	if err != nil {
		return fmt.Errorf("encode revision %d of plan %q: %w", ref.Revision, ref.Plan, err)
	}
	_, err = a.objects.Put(ctx, ref.State, ref.Target, revisionKey(ref.Plan, ref.Revision), body, "")
	if !errors.Is(err, objects.ErrConflict) {
		return err
	}
	was, err := a.revision(ctx, ref, ref.Revision) // of another, or of this one's first run
	if err == nil && was.Digest != ref.Digest {
		return permanent.New(ErrorRevision, nil, "the plan's revision is %d already (digest %.12s, by %s), and the amendment was made "+
			"against %d: look at the difference to the present one, and ask again", ref.Revision, was.Digest, was.By, ref.Revision-1)
	}
	return err
}

// NewestRevision says which revision holds of a plan of which have held once. Read-only.
func (a *Activities) NewestRevision(ctx context.Context, have migration.SpecRef) (migration.SpecRef, error) {
	return a.newest(ctx, have)
}

// Acceptance says who submits a plan.
type Acceptance struct {
	By string `json:"by"`
	// Continues says that the plan is at work: the newest revision goes on, whatever was submitted.
	Continues bool `json:"continues,omitempty"`
}

// accept says by which revision a plan goes on that was submitted as saved. Another content than
// that of the newest revision is the next one.
func (a *Activities) accept(ctx context.Context, saved migration.SpecRef, by Acceptance) (SavedSpec, error) {
	known := saved
	known.Revision = 0
	was, err := a.newest(ctx, known)
	switch {
	case err != nil:
		return SavedSpec{}, err
	case was.Revision > 0 && (was.Digest == saved.Digest || by.Continues):
		return SavedSpec{SpecRef: was, Newer: was.Digest != saved.Digest}, nil
	}
	saved.Revision = was.Revision + 1
	return SavedSpec{SpecRef: saved}, a.create(ctx, saved, by.By)
}

// AmendPlanRequest makes a content that is stored the revision after Base.
type AmendPlanRequest struct {
	Base   migration.SpecRef `json:"base"`
	Digest string            `json:"digest"`
	By     string            `json:"by"`
}

// AmendPlan makes a stored content the newest revision, if Base is the newest. Run twice, or cut
// off after its effect, it changes nothing more. ErrorRevision: another was made after Base.
func (a *Activities) AmendPlan(ctx context.Context, req AmendPlanRequest) (migration.SpecRef, error) {
	next := req.Base
	next.Revision, next.Digest = req.Base.Revision+1, req.Digest
	if _, err := a.specs.Spec(ctx, next); err != nil {
		return next, err
	}
	return next, a.create(ctx, next, req.By)
}

// ReadSpec reads a whole spec. Read-only.
func (a *Activities) ReadSpec(ctx context.Context, ref migration.SpecRef) (*migration.Spec, error) {
	return a.specs.Spec(ctx, ref)
}

// JudgeAmendmentRequest names two contents of a running plan, both stored.
type JudgeAmendmentRequest struct {
	Base migration.SpecRef `json:"base"`
	Next migration.SpecRef `json:"next"`
}

// Judgement is what an amendment changes, and what of it may not be.
type Judgement struct {
	Difference migration.Difference `json:"difference"`
	Refused    []migration.Finding  `json:"refused,omitempty"`
}

// JudgeAmendment compares two contents and says what of the difference has begun already, as the
// plan's workflows say. Read-only.
func (a *Activities) JudgeAmendment(ctx context.Context, req JudgeAmendmentRequest) (Judgement, error) {
	was, err := a.specs.Spec(ctx, req.Base)
	if err != nil {
		return Judgement{}, err
	}
	now, err := a.specs.Spec(ctx, req.Next)
	if err != nil {
		return Judgement{}, err
	}
	out := Judgement{Difference: migration.DifferenceOf(was, now)}
	if out.Difference.Empty() {
		return out, nil
	}
	stands, err := a.standing(ctx, req.Base.Plan, out.Difference)
	if err != nil {
		return out, err
	}
	order := make([]string, len(now.Batches))
	for i, b := range now.Batches {
		order[i] = b.Name
	}
	out.Refused = out.Difference.Refusals(stands, order)
	return out, nil
}

// standing asks the workflows that a difference touches.
func (a *Activities) standing(ctx context.Context, plan string, d migration.Difference) (migration.Standing, error) {
	s, err := a.plans.Migration(ctx, plan)
	if err != nil {
		return migration.Standing{}, err
	}
	out := migration.Standing{Batches: map[string]migration.BatchStatus{}, Workloads: map[string]migration.PiecePhase{}}
	names := make([]string, len(s.Batches))
	for i, b := range s.Batches {
		names[i], out.Batches[b.Name] = b.Name, b
		if b.Phase != migration.BatchWaiting {
			out.Released = names[:i+1]
		}
	}
	for _, w := range s.Workloads {
		out.Workloads[w.Name] = w.Phase
	}
	for _, name := range d.Touches() {
		if _, is := out.Batches[name]; !is {
			continue
		}
		if out.Batches[name], err = a.plans.Batch(ctx, plan, name); err != nil {
			return out, err
		}
	}
	return out, nil
}
