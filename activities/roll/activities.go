package roll

import "context"

// Activities are the Temporal activities of the roll. They only read.
type Activities struct {
	lists Lists
}

// Lists are lists of workflows. They may be behind by some moments.
type Lists interface {
	// Running are the ids of a batch's customers whose workflow runs.
	Running(ctx context.Context, plan, batch string) ([]string, error)
}

// New builds the activities.
func New(lists Lists) *Activities { return &Activities{lists: lists} }

// Request names a batch of a plan.
type Request struct {
	Plan  string `json:"plan"`
	Batch string `json:"batch"`
}

// Result has the ids of the customers that run.
type Result struct {
	Running []string `json:"running"`
}

// CallRoll says which customers of a batch run, by the list of workflows. Whoever has begun or
// ended a moment ago may be missing or still be in it: to be missing is a reason to ask, and no
// more.
func (a *Activities) CallRoll(ctx context.Context, req Request) (Result, error) {
	running, err := a.lists.Running(ctx, req.Plan, req.Batch)
	return Result{Running: running}, err
}
