package home

import (
	"errors"

	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// Repair settles a Move that was terminated, reset or lost: under the next token it claims the
// origin. An origin that is not sealed opens; a sealed one is answered with poison and reopen. Any
// number of repairs may run at once.
func (k *Keeper) Repair(ctx workflow.Context, from migration.Side, why string) migration.MoveResult {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	k.Note(ctx, "repairing a Move that did not say how it ended", why)
	for round, pause := 1, roundPause; ; round, pause = round+1, min(2*pause, roundPauseMost) {
		rec, err := k.Read(ctx)
		if err != nil {
			return migration.MoveResult{Outcome: migration.MoveGaveUp, Home: k.Home, Reason: work.Reason(err)}
		}
		k.Token++
		t := Try{Try: migration.Try{Token: k.Token, Owner: newOwner(ctx)}, Spec: k.Spec, Slice: k.Slice, From: from}
		result, err := t.claim(ctx, migration.Try{Token: rec.Side(from).Token, Owner: rec.Side(from).Owner})
		switch {
		case err == nil:
			result.Reason = "repaired after: " + why
			return result
		case !errors.Is(err, ErrSuperseded) || round == rounds:
			return migration.MoveResult{Outcome: migration.MoveGaveUp, Try: t.Try, From: from, To: from.Other(), Home: k.Home,
				Reason: work.Reason(err)}
		}
		if err := work.Sleep(ctx, pause, "another repair was first"); err != nil {
			return migration.MoveResult{Outcome: migration.MoveGaveUp, Home: k.Home, Reason: work.Reason(err)}
		}
	}
}

// newOwner is a UUID of its own for a try that is not a workflow run.
func newOwner(ctx workflow.Context) string {
	var id string
	_ = workflow.SideEffect(ctx, func(workflow.Context) any { return uuid.NewString() }).Get(&id)
	return id
}

// claim is the repair's step on the origin and, where it was sealed, the resolution. dead is the
// try that sealed it: only under that one do the databases after the first open. The route is not
// touched: who asked for the repair makes it follow.
func (t Try) claim(ctx workflow.Context, dead migration.Try) (migration.MoveResult, error) {
	result := migration.MoveResult{Outcome: migration.MoveReversed, Step: migration.StepResolving, Try: t.Try, From: t.From,
		To: t.From.Other(), Home: t.From}
	if t.Slice.Stateless() {
		rec, err := t.ClaimRecord(ctx)
		if err == nil && rec.Home() != t.From {
			result.Outcome, result.Home = migration.MoveDone, result.To
		}
		return result, err
	}
	sealed := false
	for _, d := range t.Slice.Databases {
		r, err := t.Insist(ctx, "claim", work.Postgres.ClaimTenant, d)
		if err != nil {
			return result, err
		}
		sealed = sealed || r.Word == migration.WordSealed
	}
	if !sealed {
		return result, nil
	}
	opened, err := t.Settle(ctx, dead)
	if err != nil {
		return result, err
	}
	if opened {
		result.Outcome, result.Home = migration.MoveDone, result.To
	}
	return result, nil
}

// Settle answers a doubt by writing, with poison and reopen over all databases. It says whether the
// destination was found open: by the try in doubt, under which the databases after the first open
// too.
func (t Try) Settle(ctx workflow.Context, doubted migration.Try) (opened bool, err error) {
	for i, d := range t.Slice.Databases {
		r, err := t.Insist(ctx, "poison", work.Postgres.PoisonTenant, d)
		if err != nil {
			return false, err
		}
		if i == 0 && r.Word == migration.WordOpened {
			return true, t.Under(doubted).OpenRest(ctx)
		}
	}
	for _, d := range t.Slice.Databases {
		r, err := t.Insist(ctx, "reopen", work.Postgres.ReopenTenant, d)
		if err != nil {
			return false, err
		}
		if r.Word == migration.WordFenced { // sealed never happened here: the fence is simply taken back
			if _, err := t.Insist(ctx, "unfence", work.Postgres.UnfenceTenant, d); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}
