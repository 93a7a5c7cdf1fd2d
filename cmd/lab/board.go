package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/load"
	"github.com/drover-migration/drover/lab/verify"
	"github.com/drover-migration/drover/migration"
)

// board is what a demonstration shows in the end: out/demo.json.
type board struct {
	Customers            int         `json:"customers"`
	Moved                int         `json:"moved"`       // homed on AWS at the end
	RolledBack           int         `json:"rolled_back"` // Moves back
	Held                 int         `json:"held"`
	AckedWrites          int         `json:"acked_writes"`
	LostWrites           int         `json:"lost_writes"`
	DuplicateWrites      int         `json:"duplicate_writes"`
	MisplacedRows        int         `json:"misplaced_rows"`
	UnknownRows          int         `json:"unknown_rows"`
	Requests             int         `json:"requests"`
	FailedRequests       int         `json:"failed_requests"`
	RetriedRequests      int         `json:"retried_requests"`
	FreezeMS             percentiles `json:"freeze_ms"`   // commit of the fence to commit of the open
	RoutedMS             percentiles `json:"routed_ms"`   // commit of the fence to the route set
	RollbackMS           percentiles `json:"rollback_ms"` // verdict to homed and routed at the origin
	ClientStallMS        percentiles `json:"client_stall_ms"`
	FaultedStallMS       percentiles `json:"faulted_stall_ms"` // from the break to the first good answer
	DiskBlocksVerified   int64       `json:"disk_blocks_verified"`
	ObjectsVerified      int64       `json:"objects_verified"`
	RowsVerified         int64       `json:"rows_verified"`
	MessagesSent         int         `json:"messages_sent"`
	MessagesAcknowledged int         `json:"messages_acknowledged"` // by their receivers
	MessagesTwice        int         `json:"messages_twice"`
	Acknowledgements     int         `json:"acknowledgements"` // of what waited for somebody, by who looks after it
	EvidenceBundles      int         `json:"evidence_bundles"`
	EvidenceVerified     int         `json:"evidence_verified"`
	WallS                float64     `json:"wall_s"`
	OthersPct            float64     `json:"machine_others_pct"` // of all cores' time, what other processes took
	Load                 float64     `json:"machine_load"`       // the highest average over a minute

	// Shown and judged, and no part of the file.
	Violations []string `json:"-"` // by what the judge found in databases, files and routes
	Failures   []string `json:"-"` // of requests that had no good answer in time
	machine    busy
	alone      int // customers that went home by themselves
	whole      int // batches that went home whole
	batches    int
	unanswered int // customers that were broken and had no good answer since
}

// percentiles that are asked for; nil is left out.
type percentiles struct {
	P50 *int64 `json:"p50,omitempty"`
	P99 *int64 `json:"p99,omitempty"`
	Max *int64 `json:"max,omitempty"`
}

func rank(sorted []int64, p float64) *int64 {
	if len(sorted) == 0 {
		return new(int64)
	}
	return &sorted[max(int(math.Ceil(p*float64(len(sorted))))-1, 0)]
}

// board asks the product where everybody is, and the lab what is true.
func (s *story) board(ctx context.Context, sum load.Summary) (*board, error) {
	told := map[string]migration.CustomerStatus{}
	for _, c := range s.Shape.Customers() {
		st, err := s.client.Customer(ctx, s.Shape.Name, c.ID)
		if err != nil {
			return nil, err
		}
		told[c.ID] = st
	}
	truth, err := s.Verify(ctx)
	if err != nil {
		return nil, err
	}
	return newBoard(s.Shape, told, sum, truth), nil
}

func newBoard(shape lab.Shape, told map[string]migration.CustomerStatus, sum load.Summary, truth *verify.Result) *board {
	b := &board{
		AckedWrites: sum.AckedWrites, Requests: sum.Requests, FailedRequests: sum.FailedRequests, RetriedRequests: sum.RetriedRequests,
		ClientStallMS: percentiles{P99: &sum.StallP99, Max: &sum.StallMax}, FaultedStallMS: percentiles{Max: &sum.FaultedStallMax},
		LostWrites: truth.LostWrites, DuplicateWrites: truth.DuplicateWrites, MisplacedRows: truth.MisplacedRows,
		UnknownRows:        truth.UnknownRows,
		DiskBlocksVerified: truth.DiskBlocksVerified, ObjectsVerified: truth.ObjectsVerified, RowsVerified: truth.RowsVerified,
		Violations: truth.Violations, Failures: slices.Clone(sum.Failures), unanswered: len(sum.Unanswered),
	}
	for _, c := range sum.Unanswered {
		b.Failures = append(b.Failures, "customer "+c+" has had no good answer since it was broken")
	}
	b.batches = len(shape.Batches)
	var freezes, routed, back []int64
	for _, batch := range shape.Batches {
		home := 0
		for _, c := range batch.Customers {
			st := told[c.ID]
			b.Customers++
			if st.Home == migration.AWS {
				b.Moved++
			}
			if st.Phase == migration.CustomerHeld {
				b.Held++
			}
			went := 0
			for _, m := range st.Moves {
				if m.To == migration.OnPrem {
					went++
				}
				if m.Freeze > 0 { // else it was finished by its repair, and nobody measured it
					freezes = append(freezes, m.Freeze.D().Milliseconds())
				}
				if s := m.Stall(); s > 0 {
					routed = append(routed, s.Milliseconds())
				}
			}
			b.RolledBack += went
			if went > 0 {
				home++
			}
			back = append(back, st.RollbackMS...)
		}
		switch {
		case batch.Rollback == "customer":
			b.alone += home
		case home == len(batch.Customers):
			b.whole++
		}
	}
	slices.Sort(freezes)
	slices.Sort(routed)
	slices.Sort(back)
	b.FreezeMS = percentiles{P50: rank(freezes, .5), P99: rank(freezes, .99), Max: rank(freezes, 1)}
	b.RoutedMS = percentiles{P50: rank(routed, .5), P99: rank(routed, .99), Max: rank(routed, 1)}
	b.RollbackMS = percentiles{P50: rank(back, .5), Max: rank(back, 1)}
	return b
}

// measured says how long the run took, and on what a machine.
func (b *board) measured(wall time.Duration, w *watch) {
	b.WallS, b.machine = wall.Seconds(), w.end(wall)
	b.Load, b.OthersPct = b.machine.Load, math.Round(100*b.machine.Others)
}

func (b *board) print(w io.Writer) {
	line := strings.Repeat("-", 72)
	fmt.Fprintf(w, "\n%s\n", line)
	fmt.Fprintf(w, "  customers %d: %d on AWS, %d held; Moves back: %d\n", b.Customers, b.Moved, b.Held, b.RolledBack)
	fmt.Fprintf(w, "  acknowledged writes %d: lost %d, doubled %d; rows misplaced %d, unknown %d\n",
		b.AckedWrites, b.LostWrites, b.DuplicateWrites, b.MisplacedRows, b.UnknownRows)
	fmt.Fprintf(w, "  requests %d: failed %d, retried %d\n", b.Requests, b.FailedRequests, b.RetriedRequests)
	fmt.Fprintf(w, "  freeze p50 %d ms, p99 %d ms, max %d ms; going back p50 %d ms, max %d ms\n", *b.FreezeMS.P50, *b.FreezeMS.P99,
		*b.FreezeMS.Max, *b.RollbackMS.P50, *b.RollbackMS.Max)
	fmt.Fprintf(w, "  fence to routed p50 %d ms, p99 %d ms, max %d ms\n", *b.RoutedMS.P50, *b.RoutedMS.P99, *b.RoutedMS.Max)
	fmt.Fprintf(w, "  longest wait of a client %d ms; of a broken customer's %d ms\n", *b.ClientStallMS.Max, *b.FaultedStallMS.Max)
	fmt.Fprintf(w, "  verified: %d disk blocks, %d objects, %d rows; %.0f s\n", b.DiskBlocksVerified, b.ObjectsVerified, b.RowsVerified,
		b.WallS)
	fmt.Fprintf(w, "  messages sent %d: acknowledged by their receivers %d, twice %d; looked after by somebody: %d\n", b.MessagesSent,
		b.MessagesAcknowledged, b.MessagesTwice, b.Acknowledgements)
	fmt.Fprintf(w, "  evidence: %d of %d batches' signed bundles verified with the public key alone\n", b.EvidenceVerified, b.batches)
	fmt.Fprintf(w, "  machine: %s\n", b.machine)
	for _, v := range slices.Concat(b.Violations, b.Failures) {
		fmt.Fprint(w, strings.Replace(printer.Wrap("    ", v), "    ", "  ! ", 1))
	}
	for _, s := range b.slow() {
		fmt.Fprint(w, strings.Replace(printer.Wrap("    ", "warning: "+s), "    ", "  ", 1))
	}
	if b.machine.tooMuch() {
		fmt.Fprintln(w, "  The machine was too busy for its times to say anything: figures void.")
	}
	fmt.Fprintf(w, "%s\n", line)
}

func (b *board) write(path string) error {
	body, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(body, '\n'), 0o644)
}

// slow names the times that are longer than an otherwise idle machine of two cores needs. They say
// as much of the machine as of Drover.
func (b *board) slow() (out []string) {
	for _, x := range []struct {
		what      string
		ms, limit int64 // below
	}{
		{"freeze p99", *b.FreezeMS.P99, 500}, {"the longest wait of a client", *b.ClientStallMS.Max, 3000},
		{"the longest wait of a broken customer's client", *b.FaultedStallMS.Max, 8000}, {"the whole run", int64(b.WallS * 1000), 300_000},
	} {
		if x.ms >= x.limit {
			out = append(out, fmt.Sprintf("%s took %d ms; on an otherwise idle machine it is under %d ms", x.what, x.ms, x.limit))
		}
	}
	return out
}

// leastWrites is how many acknowledged writes a demonstration must have made to show anything.
const leastWrites = 10_000

// errBusy is a demonstration that shows nothing: nothing was lost, but the machine was too busy for
// its time limits.
var errBusy = errors.New("machine too busy")

// judge is an error where the run broke one of its promises. What was lost, doubled or misplaced no
// machine excuses. What did not come in time a machine does that others kept busy: then the error
// is errBusy. The demonstration itself sends nobody home, so that whoever went was sent by Drover.
func (b *board) judge() error {
	late := counted([]zero{{"failed requests", b.FailedRequests}, {"customers without an answer", b.unanswered},
		{"messages that their receivers have not acknowledged", b.MessagesSent - b.MessagesAcknowledged}})
	broken := counted([]zero{{"lost writes", b.LostWrites}, {"duplicate writes", b.DuplicateWrites}, {"misplaced rows", b.MisplacedRows},
		{"unknown rows", b.UnknownRows}, {"violations", len(b.Violations)}, {"messages that came twice", b.MessagesTwice},
		{"batches whose evidence does not verify", b.batches - b.EvidenceVerified},
		{"bundles of evidence that do not verify", b.EvidenceBundles - b.EvidenceVerified}})
	for _, least := range []struct {
		what    string
		n, want int64
	}{
		{"customers that went home by themselves", int64(b.alone), 1}, {"batches that went home whole", int64(b.whole), 1},
		{"acknowledged writes", int64(b.AckedWrites), leastWrites},
		{"messages acknowledged", int64(b.MessagesAcknowledged), 1}, {"things looked after", int64(b.Acknowledgements), 1},
		{"disk blocks verified", b.DiskBlocksVerified, 1}, {"objects verified", b.ObjectsVerified, 1}, {"rows verified", b.RowsVerified, 1},
	} {
		if least.n < least.want {
			broken = append(broken, fmt.Errorf("%d %s: at least %d", least.n, least.what, least.want))
		}
	}
	if len(broken) == 0 && len(late) > 0 && b.machine.tooMuch() {
		return b.machine.excuse(errors.Join(late...))
	}
	return errors.Join(append(broken, late...)...)
}

// excuse says of what did not come in time that the machine was too busy.
func (b busy) excuse(late error) error {
	return fmt.Errorf("%w (%s): figures void (%s)", errBusy, b, strings.ReplaceAll(late.Error(), "\n", ", "))
}

// zero is something that must not have happened.
type zero struct {
	what string
	n    int
}

func counted(zeros []zero) (errs []error) {
	for _, z := range zeros {
		if z.n != 0 {
			errs = append(errs, fmt.Errorf("%d %s", z.n, z.what))
		}
	}
	return errs
}
