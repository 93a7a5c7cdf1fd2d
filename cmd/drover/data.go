package main

import (
	"reflect"
	"time"

	"github.com/drover-migration/drover/migration"
)

// What programs read (-o json and yaml): times are RFC 3339 in UTC and left out where there is
// none, durations are numbers of milliseconds whose keys end in Ms. Each type here has all that it
// embeds, but for the keys it writes otherwise: a field of the same key that is left out hides the
// embedded one.

// hidden leaves a key of an embedded type out.
type hidden *struct{}

type migrationData struct {
	migration.MigrationStatus

	Workflow  string      `json:"workflow"` // what Temporal says of it: Running, Terminated, ...
	Batches   []batchData `json:"batches"`
	Workloads []pieceData `json:"workloads,omitempty"`
	Datasets  []pieceData `json:"datasets,omitempty"`
}

type batchData struct {
	migration.BatchStatus

	Workflow  string         `json:"workflow,omitempty"`
	Window    *windowData    `json:"window,omitempty"`
	Customers []customerData `json:"customers,omitempty"`
}

type windowData struct {
	Opens  string `json:"opens"`
	Closes string `json:"closes"`
	Zone   string `json:"zone"`
}

type customerData struct {
	migration.CustomerStatus

	Workflow string       `json:"workflow,omitempty"`
	Window   *windowData  `json:"window,omitempty"` // what the plan says, like the next five, of one customer that is asked for
	Zone     string       `json:"zone,omitempty"`
	Contact  string       `json:"contact,omitempty"`
	Hosts    []string     `json:"hosts,omitempty"`
	Ticket   string       `json:"ticket,omitempty"`
	Blackout []spanData   `json:"blackouts,omitempty"`
	Slots    *slotsData   `json:"slots,omitempty"`
	Verdict  *verdictData `json:"verdict,omitempty"`
	Moves    []moveData   `json:"moves,omitempty"`
}

type slotsData struct {
	migration.Slots

	Offered []windowData `json:"offered"`
	Taken   *windowData  `json:"taken,omitempty"`
}

type spanData struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type verdictData struct {
	migration.Verdict

	P95          float64 `json:"p95Ms"`
	BaselineP95  float64 `json:"baselineP95Ms"`
	HideP95      hidden  `json:"p95,omitempty"`
	HideBaseline hidden  `json:"baselineP95,omitempty"`
}

type moveData struct {
	migration.MoveResult

	Verdict       *verdictData `json:"verdict,omitempty"`
	Freeze        float64      `json:"freezeMs,omitempty"`
	Predicted     float64      `json:"predictedMs,omitempty"`
	Stall         float64      `json:"stallMs,omitempty"`
	Took          *tookData    `json:"took,omitempty"`
	HideFreeze    hidden       `json:"freeze,omitempty"`
	HidePredicted hidden       `json:"predicted,omitempty"`
}

type tookData struct {
	Warm     float64 `json:"warmMs"`
	Turn     float64 `json:"turnMs"`
	Rehearse float64 `json:"rehearseMs"`
	Fence    float64 `json:"fenceMs"`
	Drain    float64 `json:"drainMs"`
	Mark     float64 `json:"markMs"`
	Files    float64 `json:"filesMs"`
	Hooks    float64 `json:"hooksMs,omitempty"`
	Seal     float64 `json:"sealMs"`
	Open     float64 `json:"openMs"`
}

type pieceData struct {
	migration.PieceStatus

	Progress *progressData `json:"progress,omitempty"`
}

type progressData struct {
	migration.Progress

	ETA     float64 `json:"etaMs"`
	HideETA hidden  `json:"eta,omitempty"`
}

type previewData struct {
	migration.PreviewReport

	Customers []previewCustomerData `json:"customers,omitempty"`
}

type previewCustomerData struct {
	migration.PreviewCustomer

	Freeze     float64 `json:"freezeMs"`
	Stall      float64 `json:"stallMs"`
	Late       float64 `json:"lateMs,omitempty"`
	HideFreeze hidden  `json:"freeze,omitempty"`
	HideStall  hidden  `json:"stall,omitempty"`
	HideLate   hidden  `json:"late,omitempty"`
}

func dataOfPreview(r migration.PreviewReport) previewData {
	out := previewData{PreviewReport: r}
	for _, c := range r.Customers {
		out.Customers = append(out.Customers, previewCustomerData{PreviewCustomer: c,
			Freeze: inMillis(c.Freeze), Stall: inMillis(c.Stall), Late: inMillis(c.Late)})
	}
	return out
}

func dataOfMigration(s migration.MigrationStatus, execution string) migrationData {
	out := migrationData{MigrationStatus: s, Workflow: execution, Batches: []batchData{}, Workloads: dataOfPieces(s.Workloads),
		Datasets: dataOfPieces(s.Datasets)}
	for _, b := range s.Batches {
		out.Batches = append(out.Batches, dataOfBatch(b, b.Workflow))
	}
	return out
}

func dataOfBatch(s migration.BatchStatus, execution string) batchData {
	out := batchData{BatchStatus: s, Workflow: execution}
	out.Window = dataOfWindow(s.Window)
	for _, c := range s.Customers {
		out.Customers = append(out.Customers, dataOfCustomer(c, "", nil))
	}
	return out
}

func dataOfWindow(w *migration.Window) *windowData {
	if w == nil {
		return nil
	}
	return &windowData{Opens: rfc3339(w.Opens), Closes: rfc3339(w.Closes()), Zone: w.Zone}
}

// dataOfCustomer has what the plan says too, where a spec is given.
func dataOfCustomer(s migration.CustomerStatus, execution string, spec *migration.Spec) customerData {
	out := customerData{CustomerStatus: s, Workflow: execution}
	if spec != nil {
		c, _ := spec.Customer(s.ID)
		b, _ := spec.Batch(s.Batch)
		out.Window, out.Ticket = dataOfWindow(b.Window), b.Ticket
		out.Zone, out.Contact, out.Hosts = c.Zone, c.Contact, c.Hosts
		for _, x := range c.Blackouts {
			out.Blackout = append(out.Blackout, spanData{From: rfc3339(x.From), To: rfc3339(x.To)})
		}
	}
	if x := s.Slots; x != nil {
		out.Slots = &slotsData{Slots: *x, Taken: dataOfWindow(x.Taken)}
		for _, w := range x.Offered {
			out.Slots.Offered = append(out.Slots.Offered, *dataOfWindow(&w))
		}
	}
	out.Verdict = dataOfVerdict(s.Verdict)
	for _, m := range s.Moves {
		d := moveData{MoveResult: m, Verdict: dataOfVerdict(m.Verdict), Freeze: inMillis(m.Freeze), Predicted: inMillis(m.Predicted),
			Stall: inMillis(migration.Duration(m.Stall()))}
		if t := m.Took; t != (migration.FreezeTook{}) {
			d.Took = &tookData{Warm: inMillis(t.Warm), Turn: inMillis(t.Turn), Rehearse: inMillis(t.Rehearse), Fence: inMillis(t.Fence),
				Drain: inMillis(t.Drain), Mark: inMillis(t.Mark), Files: inMillis(t.Files), Hooks: inMillis(t.Hooks),
				Seal: inMillis(t.Seal), Open: inMillis(t.Open)}
		}
		out.Moves = append(out.Moves, d)
	}
	return out
}

func dataOfVerdict(v *migration.Verdict) *verdictData {
	if v == nil {
		return nil
	}
	return &verdictData{Verdict: *v, P95: v.P95 * 1000, BaselineP95: v.BaselineP95 * 1000}
}

func dataOfPieces(in []migration.PieceStatus) (out []pieceData) {
	for _, p := range in {
		d := pieceData{PieceStatus: p}
		if p.Progress != (migration.Progress{}) {
			d.Progress = &progressData{Progress: p.Progress, ETA: inMillis(p.Progress.ETA)}
		}
		out = append(out, d)
	}
	return out
}

func inMillis(d migration.Duration) float64 { return float64(d.D().Microseconds()) / 1000 }

// inUTC is a copy of data with all its times in UTC, whatever zone those who noted them keep, and
// without the commands behind events: their proofs are for evidence.
func inUTC(v any) any {
	out := reflect.New(reflect.TypeOf(v)).Elem()
	copyInUTC(out, reflect.ValueOf(v))
	return out.Interface()
}

func copyInUTC(to, from reflect.Value) {
	switch from.Kind() {
	case reflect.Struct:
		if t, ok := from.Interface().(time.Time); ok {
			to.Set(reflect.ValueOf(t.UTC()))
			return
		}
		for i := range from.NumField() {
			copyInUTC(to.Field(i), from.Field(i))
		}
	case reflect.Pointer:
		if _, proof := from.Interface().(*migration.Command); !proof && !from.IsNil() {
			to.Set(reflect.New(from.Type().Elem()))
			copyInUTC(to.Elem(), from.Elem())
		}
	case reflect.Slice:
		if !from.IsNil() {
			to.Set(reflect.MakeSlice(from.Type(), from.Len(), from.Len()))
			for i := range from.Len() {
				copyInUTC(to.Index(i), from.Index(i))
			}
		}
	default:
		to.Set(from)
	}
}
