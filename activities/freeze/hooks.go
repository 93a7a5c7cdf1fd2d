package freeze

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drover-migration/drover/hooks"
	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
)

// hook is one that is called inside the freeze.
type hook struct {
	*hooks.Prepared
	must bool // its failure, or its hold, ends the try
}

// wanted are the hooks of the freeze, where they are called from this site: that of the customer's
// first database.
func (f *freezing) wanted() []migration.Hook {
	if len(f.req.Slice.Databases) == 0 || f.req.Slice.Databases[0].Site() != f.req.Site {
		return nil
	}
	return migration.FrozenHooks(f.req.Slice.Hooks, f.req.From.Other())
}

// prepare finds out before the fence whether the hooks can be called: a freeze is no time for that.
// One that keeps nobody from going home is left out.
func (f *freezing) prepare(ctx context.Context) error {
	for _, h := range f.wanted() {
		_, must := migration.HookBefore(f.req.Slice.Hooks, h.Event, f.req.From.Other())
		p, err := f.caller.Prepare(ctx, h)
		switch {
		case err == nil:
			f.hooks = append(f.hooks, hook{p, must})
		case must:
			return err
		default:
			f.miss(err)
		}
	}
	return nil
}

func (f *freezing) miss(err error) { f.result.Missed = append(f.result.Missed, err.Error()) }

// hooksTake is how long the hooks are predicted to take, together.
func (f *freezing) hooksTake() time.Duration {
	return f.caller.Predicted(f.req.Spec.Plan, f.wanted())
}

// sealTakes is what is kept back of the lease for the seal: a quarter of a short one.
func (f *freezing) sealTakes() time.Duration {
	return min(f.req.Slice.Policy.FreezeBudget.D()/4, sealMost)
}

const sealMost = 500 * time.Millisecond

// call calls the hooks, one after the other: nobody writes, and all is at the destination. What is
// left of the lease is the origin's to say. Others have the turn meanwhile, and the connections:
// whoever is called works elsewhere.
func (f *freezing) call(ctx context.Context) error {
	if len(f.wanted()) == 0 {
		return nil
	}
	defer measure(&f.result.Took.Hooks)()
	if len(f.hooks)+len(f.result.Missed) == 0 { // of a fence that an earlier activity has put up
		if err := f.prepare(ctx); err != nil {
			return err
		}
	}
	f.letGo()
	for _, h := range f.hooks {
		begun := time.Now()
		err := f.callOne(ctx, h)
		for _, d := range f.databases {
			d.Spent(time.Since(begun))
		}
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case h.must:
			return err
		default:
			f.miss(err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, f.sealTakes())
	defer cancel()
	return f.each(func(d *database) error { return d.Hold(ctx) })
}

// callOne calls one hook, and errs where it fails or holds.
func (f *freezing) callOne(ctx context.Context, h hook) error {
	left, err := f.databases[0].Left(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	within := left - f.sealTakes()
	if within <= 0 {
		return fmt.Errorf("hook %s: %s are left of the freeze budget, and the seal takes up to %s: nothing is left for it", h.Event,
			left.Round(time.Millisecond), f.sealTakes())
	}
	bounded, cancel := context.WithDeadline(ctx, now.Add(within))
	defer cancel()
	req := f.req
	answer, err := h.Call(bounded, migration.HookCall{Event: h.Event, Plan: req.Spec.Plan, Revision: req.Spec.Revision,
		Batch: req.Slice.Batch.Name, Customer: req.Slice.Customer.ID, Token: req.Try.Token, From: req.From, To: req.From.Other(),
		Deadline: now.Add(left).UTC()}, !h.must)
	if err == nil && answer.Hold != "" {
		err = &held{h.Event, answer.Hold}
	}
	return err
}

// held is a hook's answer that ends a try.
type held struct {
	by     migration.HookEvent
	reason string
}

func (h *held) Error() string { return fmt.Sprintf("hook %s holds it: %s", h.by, h.reason) }

// holds is the hold behind an error; "": there is none.
func holds(err error) string {
	var h *held
	if errors.As(err, &h) {
		return h.Error()
	}
	return ""
}

// CheckFreezeHooksRequest names the hooks that this site's worker will call inside freezes.
type CheckFreezeHooksRequest struct {
	Hooks []migration.Hook `json:"hooks"`
}

// CheckFreezeHooks says what keeps hooks from being called inside freezes by the worker next to the
// data. It calls none, and changes nothing.
func (a *Activities) CheckFreezeHooks(ctx context.Context, req CheckFreezeHooksRequest) ([]migration.Finding, error) {
	defer heartbeat.Alive(ctx)()
	return a.caller.Check(ctx, nil, req.Hooks)
}
