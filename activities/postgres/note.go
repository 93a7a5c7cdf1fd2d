package postgres

import (
	"context"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
)

// NoteRequest says what to remember of a customer, on the side that is its home.
type NoteRequest struct {
	TenantRequest
	Side migration.Side `json:"side"`
	Note migration.Note `json:"note"`
}

// NoteTenant keeps a note beside the customer's fence: Noted, or Superseded where a later one
// stands. Run twice, it answers the same; a zombie with an older note changes nothing.
func (a *Activities) NoteTenant(ctx context.Context, req NoteRequest) (StepResult, error) {
	defer heartbeat.Alive(ctx)()
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return StepResult{}, err
	}
	word, err := p.WriteNote(ctx, req.Side, req.Tenant, req.Note)
	return StepResult{Word: word}, classify(err)
}
