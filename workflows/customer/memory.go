package customer

import (
	"encoding/json"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/homes"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// memory is what is remembered of a customer beside its fence. A customer that is started again
// goes on from it, whoever was terminated.
type memory struct {
	Phase    migration.CustomerPhase `json:"phase"`
	Since    time.Time               `json:"since"`
	Reason   string                  `json:"reason,omitempty"`
	Cause    migration.Cause         `json:"cause,omitempty"`
	Ends     time.Time               `json:"ends,omitzero"`
	Baseline *health.Baseline        `json:"baseline,omitempty"`
	Unjudged bool                    `json:"unjudged,omitempty"`
	Deferral *migration.Deferral     `json:"deferral,omitempty"`
	Slots    *migration.Slots        `json:"slots,omitempty"`
	Calls    []*call                 `json:"calls,omitempty"`

	// Of its batch's memory only.
	Round int                       `json:"round,omitempty"`
	Told  bool                      `json:"told,omitempty"`
	Last  *migration.CustomerStatus `json:"last,omitempty"`
}

// neverWent says that nothing of an earlier run is remembered, or that the customer had not been
// told to go in it.
func (m *memory) neverWent() bool {
	return m == nil || !m.Told && (m.Phase == migration.CustomerWaiting || m.Phase == migration.CustomerFinding)
}

// memory is where the customer stands.
func (c *customer) memory() memory {
	return memory{Phase: c.Phase, Since: c.Since, Reason: c.Reason, Cause: c.Cause, Ends: c.Ends, Baseline: c.Baseline,
		Unjudged: c.Unjudged, Deferral: c.Deferral, Slots: c.Slots, Calls: c.Calls}
}

// noted numbers a note of the present stay.
func (c *customer) noted(m memory) migration.Note {
	//workflowcheck:ignore the same value has the same words
	words, err := json.Marshal(m)
	if err != nil {
		panic(err) // a memory has nothing that could not be written
	}
	c.Notes++
	return migration.Note{Stay: c.Stay, N: c.Notes, Words: string(words)}
}

// remember writes down where the customer stands, in its own data.
func (c *customer) remember(ctx workflow.Context) error {
	if c.Home == migration.NoHome {
		return nil
	}
	return c.write(ctx, c.noted(c.memory()), c.Phase)
}

func (c *customer) write(ctx workflow.Context, note migration.Note, phase migration.CustomerPhase) error {
	if c.slice.Stateless() {
		n := work.Record.Within(work.NotePatience).In(ctx, "note that "+c.in.ID+" is "+string(phase))
		return workflow.ExecuteActivity(n, work.Homes.NoteHomes, homes.NotesRequest{Spec: c.in.Spec, Side: c.Home,
			Notes: []homes.CustomerNote{{Customer: c.in.ID, Note: note}}}).Get(n, nil)
	}
	d := c.slice.Databases[0]
	req := postgres.NoteRequest{
		TenantRequest: postgres.TenantRequest{
			PostgresRef: postgres.PostgresRef{Plan: c.in.Spec.Plan, Dataset: d, Target: c.slice.Target(d.Target())},
			Customer:    c.in.ID, Tenant: c.slice.Customer.Tenant,
		},
		Side: c.Home, Note: note,
	}
	n := work.DataNote.At(ctx, d.Site(), "note in "+d.Name+" that "+c.in.ID+" is "+string(phase))
	return workflow.ExecuteActivity(n, work.Postgres.NoteTenant, req).Get(n, nil)
}

// recall is what the data remembers of the present stay, or else of the stay that ended with the
// last Move; what the batch remembers counts where it is newer.
func recall(rec migration.HomeRecord, was *memory) (m memory) {
	for _, side := range []migration.Side{rec.Home(), rec.Home().Other()} {
		n := rec.Note(side)
		if n.N == 0 {
			continue
		}
		//workflowcheck:ignore the same words have the same value
		if err := json.Unmarshal([]byte(n.Words), &m); err == nil {
			break
		}
	}
	if m.Phase == migration.CustomerMoving { // who sends a customer out has to say so again
		m.Phase = migration.CustomerWaiting
	}
	if was != nil && (m.Phase == "" || was.Since.After(m.Since)) {
		baseline, unjudged, calls := m.Baseline, m.Unjudged, m.Calls
		m = *was
		m.Baseline, m.Unjudged, m.Calls = baseline, unjudged, calls
	}
	return m
}

// next is the phase of a customer whose home has become known. resume is the phase in which it
// stopped being known; "": the customer has just begun, and m is what is remembered of it.
func next(home migration.Side, resume migration.CustomerPhase, m memory) migration.CustomerPhase {
	switch resume {
	case "":
		resume = m.Phase
	case migration.CustomerHeld: // a retry
		resume = ""
	}
	if home == migration.AWS {
		switch resume {
		case migration.CustomerFinished, migration.CustomerMovingBack, migration.CustomerHeld, migration.CustomerSoaking:
			return resume
		default:
			return migration.CustomerBaking
		}
	}
	switch resume {
	case migration.CustomerMoving, migration.CustomerHeld, migration.CustomerSkipped:
		return resume
	case migration.CustomerWaiting:
		return migration.CustomerWaiting
	case "":
		if m.Phase == "" {
			return migration.CustomerWaiting
		}
		return migration.CustomerRolledBack
	default: // it was on AWS, or on its way from there
		return migration.CustomerRolledBack
	}
}
