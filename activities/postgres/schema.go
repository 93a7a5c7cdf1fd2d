package postgres

import (
	"context"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// SchemaRequest is a change of the schema of both sides of a dataset. Without a text it is what was
// made there by hand.
type SchemaRequest struct {
	PostgresRef
	Change migration.SchemaChange `json:"change"`
	By     string                 `json:"by"`
	Reason string                 `json:"reason"`
}

func (r SchemaRequest) change() setup.Change {
	return setup.Change{Digest: r.Change.Digest, File: r.Change.File, Text: r.Change.Text, By: r.By, Why: r.Reason}
}

// SchemaFindings is what stands in the way of a change.
type SchemaFindings struct {
	Findings []migration.Finding `json:"findings,omitempty"`
}

// CheckSchema says what of a change is refused. It executes the statements on both sides, in
// transactions that are rolled back: twice is once.
func (a *Activities) CheckSchema(ctx context.Context, req SchemaRequest) (SchemaFindings, error) {
	defer beat(ctx, "trying the change on both sides")()
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return SchemaFindings{}, err
	}
	if req.Change.Text == "" {
		found, err := setup.CheckByHand(ctx, p)
		return SchemaFindings{Findings: found}, classify(err)
	}
	found, err := setup.CheckChange(ctx, p, req.change())
	return SchemaFindings{Findings: found}, classify(err)
}

// ApplySchema gives both sides of a dataset a change of their schema, and sets up what is new. A
// side takes a change once, by its digest: cut off anywhere, or run twice at once, it ends in the
// same state.
func (a *Activities) ApplySchema(ctx context.Context, req SchemaRequest) error {
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return err
	}
	say, stop := heartbeat.Saying[string](ctx)
	defer stop()
	if req.Change.Text == "" {
		return classify(setup.TakeIn(ctx, p, say))
	}
	return classify(setup.ApplyChange(ctx, p, req.change(), say))
}
