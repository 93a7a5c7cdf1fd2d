package homes

import (
	"context"

	engine "github.com/drover-migration/drover/homes"
	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
)

// Activities are the Temporal activities of home records in the state bucket. A step that changes
// one carries the try: cut off after its effect and before its answer it is repeated and answers
// the same, and a zombie with an older try is told superseded and changes nothing.
type Activities struct{ records *engine.Records }

// New builds the activities.
func New(records *engine.Records) *Activities { return &Activities{records: records} }

// Request names a customer of a plan.
type Request struct {
	Spec     migration.SpecRef `json:"spec"`
	Customer string            `json:"customer"`
}

// ReadHomeRecord reads a customer's home record. It changes nothing.
func (a *Activities) ReadHomeRecord(ctx context.Context, req Request) (migration.HomeRecord, error) {
	defer heartbeat.Alive(ctx)()
	return a.records.Read(ctx, req.Spec, req.Customer)
}

// ManyRequest names customers of a plan.
type ManyRequest struct {
	Spec      migration.SpecRef `json:"spec"`
	Customers []string          `json:"customers"`
}

// ManyResult says where each of the customers is homed.
type ManyResult struct {
	Homes map[string]migration.Homed `json:"homes"`
	// New are those of whom nothing was ever written down: they are at home.
	New []string `json:"new,omitempty"`
}

// ReadHomeRecords is ReadHomeRecord of many customers. It changes nothing.
func (a *Activities) ReadHomeRecords(ctx context.Context, req ManyRequest) (ManyResult, error) {
	defer heartbeat.Alive(ctx)()
	records, err := a.records.ReadMany(ctx, req.Spec, req.Customers)
	if err != nil {
		return ManyResult{}, err
	}
	out := ManyResult{Homes: make(map[string]migration.Homed, len(records))}
	for _, c := range req.Customers {
		r := records[c]
		out.Homes[c] = r.Homed()
		if r.Home() == migration.OnPrem && r.Token() == 0 && r.OnPrem.Note.N == 0 {
			out.New = append(out.New, c)
		}
	}
	return out, nil
}

// StepResult is a step's word, and the record as the step left it, or found it.
type StepResult struct {
	Word   migration.Word       `json:"word"`
	Record migration.HomeRecord `json:"record"`
}

func answer(s engine.Step, err error) (StepResult, error) {
	return StepResult{Word: s.Word, Record: s.Record}, err
}

// CommitRequest homes a customer on a side.
type CommitRequest struct {
	Request
	To     migration.Side  `json:"to"`
	Weight int             `json:"weight,omitempty"` // percentage of its requests that go to AWS, where that is To
	Try    migration.Try   `json:"try"`
	Note   *migration.Note `json:"note,omitempty"` // of the stay that ends
}

// CommitHome is the commit point of a customer's Move: Open, Sealed where it is homed there
// already, or Superseded.
func (a *Activities) CommitHome(ctx context.Context, req CommitRequest) (StepResult, error) {
	defer heartbeat.Alive(ctx)()
	return answer(a.records.Commit(ctx, req.Spec, req.Customer, req.To, req.Weight, req.Try, req.Note))
}

// WeighRequest raises the share of a customer's requests that goes to AWS.
type WeighRequest struct {
	Request
	Weight int           `json:"weight"` // percent
	Try    migration.Try `json:"try"`    // by which the customer is homed there
}

// WeighHome answers Open, or Superseded. It never lowers the share.
func (a *Activities) WeighHome(ctx context.Context, req WeighRequest) (StepResult, error) {
	defer heartbeat.Alive(ctx)()
	return answer(a.records.Weigh(ctx, req.Spec, req.Customer, req.Weight, req.Try))
}

// ClaimRequest ends every try of a customer that is older than this one.
type ClaimRequest struct {
	Request
	Try migration.Try `json:"try"`
}

// ClaimHome leaves the customer where it is and answers Open, or Superseded.
func (a *Activities) ClaimHome(ctx context.Context, req ClaimRequest) (StepResult, error) {
	defer heartbeat.Alive(ctx)()
	return answer(a.records.Claim(ctx, req.Spec, req.Customer, req.Try))
}

// NotesRequest says what to remember of customers, on the side that is their home.
type NotesRequest struct {
	Spec  migration.SpecRef `json:"spec"`
	Side  migration.Side    `json:"side"`
	Notes []CustomerNote    `json:"notes"`
}

// CustomerNote is a customer's note.
type CustomerNote struct {
	Customer string         `json:"customer"`
	Note     migration.Note `json:"note"`
}

// NotesResult says whose note stands. Of the others a later one does, or theirs could not be
// written.
type NotesResult struct {
	Noted []string `json:"noted,omitempty"`
}

// NoteHomes keeps notes beside the records. Run twice, or cut off anywhere, it answers the same. It
// answers an error where no record could be written.
func (a *Activities) NoteHomes(ctx context.Context, req NotesRequest) (out NotesResult, err error) {
	defer heartbeat.Alive(ctx)()
	notes := make(map[string]migration.Note, len(req.Notes))
	for _, n := range req.Notes {
		notes[n.Customer] = n.Note
	}
	words, err := a.records.WriteNotes(ctx, req.Spec, req.Side, notes)
	if len(words) == 0 {
		return out, err
	}
	for _, n := range req.Notes {
		if words[n.Customer] == migration.WordNoted {
			out.Noted = append(out.Noted, n.Customer)
		}
	}
	return out, nil
}
