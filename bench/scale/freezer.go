package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/drover-migration/drover/activities/freeze"
	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
)

// freezer stands in for the freeze, under its activity's name.
type freezer struct{ *below }

// How long the parts of a freeze took.
var (
	check  = ms(255, 624) // of a database and its replication; the machines are asked meanwhile
	warm   = ms(100, 300) // before the fence
	frozen = ms(30, 72)   // from the fence to the open
	single = ms(6, 12)    // one step
	drain  = ms(12, 36)   // the mark's way, the last pass and the hashes
)

// behindPatience is how often an open finds the destination behind before it is given up.
const behindPatience = 20

// FreezeCustomer is the activity of that name: the same steps in the same order, each of which may
// fail.
func (f freezer) FreezeCustomer(ctx context.Context, req freeze.Request) (freeze.Result, error) {
	say, stop := heartbeat.Saying[freeze.Beat](context.WithoutCancel(ctx))
	defer stop()
	r := freeze.Result{Step: migration.StepChecking}
	first := req.First
	if first == migration.StepChecking {
		for f.call(ctx, check, nothing) != nil && ctx.Err() == nil { // as the real one asks again
		}
		r.Predicted = migration.Duration(warm.p50+frozen.p50) * 1e6
		if req.Note != nil {
			var word migration.Word
			_ = f.ask("Note", NoteArgs{Tenant: req.Slice.Customer.Tenant, Side: req.From, Note: *req.Note}, &word) // nothing depends on it
		}
		first = migration.StepFencing
	}
	if err := f.call(ctx, warm, nothing); err != nil {
		r.Reason = err.Error()
		return r, nil
	}
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		r.Reason = ctx.Err().Error()
		return r, nil
	}
	steps := []migration.MoveStep{migration.StepFencing, migration.StepDraining, migration.StepSealing, migration.StepOpening}
	for _, step := range steps[slices.Index(steps, first) : slices.Index(steps, req.Last)+1] {
		if step == migration.StepSealing && ctx.Err() != nil {
			r.Reason = "canceled"
			return r, nil
		}
		r.Step = step
		say(freeze.Beat{Step: step})
		a, err := f.take(context.WithoutCancel(ctx), req, step)
		switch {
		case err != nil && r.Doubtful():
			return r, err
		case err != nil:
			r.Reason = err.Error()
			return r, nil
		case a.Word == migration.WordSuperseded:
			r.Reason, r.Superseded = string(step)+": a newer try owns this customer", true
			return r, nil
		case a.Word != after[step]:
			r.Reason = string(step) + ": the database answered " + string(a.Word)
			return r, nil
		}
		switch step {
		case migration.StepFencing:
			r.Fenced = a.At
		case migration.StepOpening:
			r.Opened, r.RestOpen = a.At, true
		}
	}
	return r, nil
}

// after is the word that each step ends with.
var after = map[migration.MoveStep]migration.Word{
	migration.StepFencing: migration.WordFenced, migration.StepDraining: migration.WordFenced,
	migration.StepSealing: migration.WordSealed, migration.StepOpening: migration.WordOpen,
}

func (f freezer) take(ctx context.Context, req freeze.Request, step migration.MoveStep) (a Answer, err error) {
	name := map[migration.MoveStep]string{
		migration.StepFencing: stepFence, migration.StepDraining: stepDrain,
		migration.StepSealing: stepSeal, migration.StepOpening: stepOpen,
	}[step]
	length := single
	if step == migration.StepDraining {
		length = drain
	}
	for range behindPatience {
		err = f.call(ctx, length, func() error {
			return f.ask("Step", StepArgs{
				Step: name, Tenant: req.Slice.Customer.Tenant, From: req.From, Try: req.Try, Lease: req.Slice.Policy.FreezeBudget.D(),
			}, &a)
		})
		if err != nil || a.Word != migration.WordBehind {
			return a, err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return a, err
		}
	}
	return a, errors.New("the destination is behind")
}
