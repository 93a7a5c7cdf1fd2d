package hooks

import (
	"context"
	"slices"
	"time"

	engine "github.com/drover-migration/drover/hooks"
	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
)

// Specs reads compiled plans.
type Specs interface {
	Spec(ctx context.Context, ref migration.SpecRef) (*migration.Spec, error)
}

// Activities needs the secrets of webhooks, and to run documents on the plan's instances.
type Activities struct {
	specs  Specs
	caller *engine.Caller
}

// New builds the activities.
func New(specs Specs, caller *engine.Caller) *Activities {
	return &Activities{specs: specs, caller: caller}
}

// CallHookRequest says what is to be called, and what it is to be told.
type CallHookRequest struct {
	Spec  migration.SpecRef  `json:"spec"`
	Call  migration.HookCall `json:"call"`
	Since time.Time          `json:"since"` // when it was first wanted
}

// CallHookResult is an answer.
type CallHookResult struct {
	Hold string `json:"hold,omitempty"` // why the customer is to be held; empty: go on
}

// CallHook calls a hook once. Run twice, or cut off after its effect, it calls again under the same
// key, by which whoever is called knows the repeat. A hook that an amendment has taken out of the
// plan is not called, and holds nobody.
func (a *Activities) CallHook(ctx context.Context, req CallHookRequest) (CallHookResult, error) {
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return CallHookResult{}, err
	}
	h := spec.Hook(req.Call.Event)
	if h == nil {
		return CallHookResult{}, nil
	}
	defer heartbeat.Alive(ctx)()
	answer, err := a.caller.Call(ctx, spec, *h, req.Call, req.Since)
	return CallHookResult{Hold: answer.Hold}, err
}

// CheckHooks says what keeps the hooks of a plan from being called by the main worker. It calls
// none, and changes nothing.
func (a *Activities) CheckHooks(ctx context.Context, ref migration.SpecRef) ([]migration.Finding, error) {
	spec, err := a.specs.Spec(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer heartbeat.Alive(ctx)()
	return a.caller.Check(ctx, spec, slices.DeleteFunc(slices.Clone(spec.Hooks), func(h migration.Hook) bool {
		return h.Event.Frozen() && !calledHere(spec, h)
	}))
}

// calledHere says whether the main worker calls a hook that belongs into a freeze: for a customer
// without a database, who has none.
func calledHere(spec *migration.Spec, h migration.Hook) bool {
	return h.Event == migration.HookBeforeOpen && slices.ContainsFunc(spec.Customers, spec.Stateless)
}
