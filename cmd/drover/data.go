package main

import (
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
	Verdict  *verdictData `json:"verdict,omitempty"`
	Moves    []moveData   `json:"moves,omitempty"`
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
	HideFreeze    hidden       `json:"freeze,omitempty"`
	HidePredicted hidden       `json:"predicted,omitempty"`
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
	if w := s.Window; w != nil {
		out.Window = &windowData{Opens: rfc3339(w.Opens), Closes: rfc3339(w.Closes()), Zone: w.Zone}
	}
	for _, c := range s.Customers {
		out.Customers = append(out.Customers, dataOfCustomer(c, ""))
	}
	return out
}

func dataOfCustomer(s migration.CustomerStatus, execution string) customerData {
	out := customerData{CustomerStatus: s, Workflow: execution}
	out.Verdict = dataOfVerdict(s.Verdict)
	for _, m := range s.Moves {
		out.Moves = append(out.Moves, moveData{MoveResult: m, Verdict: dataOfVerdict(m.Verdict), Freeze: inMillis(m.Freeze),
			Predicted: inMillis(m.Predicted)})
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
