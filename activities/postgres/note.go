package postgres

import (
	"context"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
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
	var word migration.Word
	err := a.either(ctx, req.PostgresRef, func(ctx context.Context, p *engine.Pair) (err error) {
		word, err = p.WriteNote(ctx, req.Side, req.Tenant, req.Note)
		return err
	})
	return StepResult{Word: word}, err
}

// NotesRequest says what to remember of customers of a dataset, on the side that is their home.
type NotesRequest struct {
	PostgresRef
	Side  migration.Side `json:"side"`
	Notes []TenantNote   `json:"notes"`
}

// TenantNote is a customer's note.
type TenantNote struct {
	Tenant int64          `json:"tenant"`
	Note   migration.Note `json:"note"`
}

// NotesResult says whose note stands. Of the others a later one does.
type NotesResult struct {
	Noted []int64 `json:"noted,omitempty"`
}

// NoteTenants is NoteTenant of many customers, in one question. Run twice, or cut off anywhere, it
// answers the same; a zombie with older notes changes nothing.
func (a *Activities) NoteTenants(ctx context.Context, req NotesRequest) (NotesResult, error) {
	defer heartbeat.Alive(ctx)()
	notes := make(map[int64]migration.Note, len(req.Notes))
	for _, n := range req.Notes {
		notes[n.Tenant] = n.Note
	}
	var words map[int64]migration.Word
	err := a.either(ctx, req.PostgresRef, func(ctx context.Context, p *engine.Pair) (err error) {
		words, err = p.WriteNotes(ctx, req.Side, notes)
		return err
	})
	var out NotesResult
	for _, n := range req.Notes {
		if words[n.Tenant] == migration.WordNoted {
			out.Noted = append(out.Noted, n.Tenant)
		}
	}
	return out, err
}
