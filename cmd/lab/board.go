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

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/load"
	"github.com/drover-migration/drover/lab/verify"
	"github.com/drover-migration/drover/migration"
)

// board is what a demonstration shows in the end: out/demo.json.
type board struct {
	Customers          int         `json:"customers"`
	Moved              int         `json:"moved"`       // homed on AWS at the end
	RolledBack         int         `json:"rolled_back"` // Moves back
	Held               int         `json:"held"`
	AckedWrites        int         `json:"acked_writes"`
	LostWrites         int         `json:"lost_writes"`
	DuplicateWrites    int         `json:"duplicate_writes"`
	MisplacedRows      int         `json:"misplaced_rows"`
	Requests           int         `json:"requests"`
	FailedRequests     int         `json:"failed_requests"`
	RetriedRequests    int         `json:"retried_requests"`
	FreezeMS           percentiles `json:"freeze_ms"`   // commit of the fence to commit of the open
	RollbackMS         percentiles `json:"rollback_ms"` // verdict to homed and routed at the origin
	ClientStallMS      percentiles `json:"client_stall_ms"`
	FaultedStallMS     percentiles `json:"faulted_stall_ms"` // from the break to the first good answer
	DiskBlocksVerified int64       `json:"disk_blocks_verified"`
	ObjectsVerified    int64       `json:"objects_verified"`
	RowsVerified       int64       `json:"rows_verified"`
	WallS              float64     `json:"wall_s"`

	// Shown and judged, and no part of the file.
	Violations []string `json:"-"`
	alone      int      // customers that went home by themselves
	whole      int      // batches that went home whole
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
		DiskBlocksVerified: truth.DiskBlocksVerified, ObjectsVerified: truth.ObjectsVerified, RowsVerified: truth.RowsVerified,
		Violations: slices.Concat(truth.Violations, sum.Failures),
	}
	for _, c := range sum.Unanswered {
		b.Violations = append(b.Violations, "customer "+c+" has had no good answer since it was broken")
	}
	var freezes, back []int64
	for _, batch := range shape.Batches {
		home := 0
		for _, c := range batch.Customers {
			st := told[c.ID]
			b.Customers++
			if st.Home == migration.AWS {
				b.Moved++
			}
			if st.Phase == migration.PhaseHeld {
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
	slices.Sort(back)
	b.FreezeMS = percentiles{P50: rank(freezes, .5), P99: rank(freezes, .99), Max: rank(freezes, 1)}
	b.RollbackMS = percentiles{P50: rank(back, .5), Max: rank(back, 1)}
	return b
}

func (b *board) print(w io.Writer) {
	line := strings.Repeat("-", 72)
	fmt.Fprintf(w, "\n%s\n", line)
	fmt.Fprintf(w, "  customers %d: %d on AWS, %d held; Moves back: %d\n", b.Customers, b.Moved, b.Held, b.RolledBack)
	fmt.Fprintf(w, "  acknowledged writes %d: lost %d, doubled %d; misplaced rows %d\n", b.AckedWrites, b.LostWrites, b.DuplicateWrites, b.MisplacedRows)
	fmt.Fprintf(w, "  requests %d: failed %d, retried %d\n", b.Requests, b.FailedRequests, b.RetriedRequests)
	fmt.Fprintf(w, "  freeze p50 %d ms, p99 %d ms, max %d ms; going back p50 %d ms, max %d ms\n", *b.FreezeMS.P50, *b.FreezeMS.P99, *b.FreezeMS.Max, *b.RollbackMS.P50, *b.RollbackMS.Max)
	fmt.Fprintf(w, "  longest wait of a client %d ms; of a broken customer's %d ms\n", *b.ClientStallMS.Max, *b.FaultedStallMS.Max)
	fmt.Fprintf(w, "  verified: %d disk blocks, %d objects, %d rows; %.0f s\n", b.DiskBlocksVerified, b.ObjectsVerified, b.RowsVerified, b.WallS)
	for _, v := range b.Violations {
		fmt.Fprintf(w, "  ! %s\n", v)
	}
	for _, s := range b.slow() {
		fmt.Fprintf(w, "  warning: %s\n", s)
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

// slow names the times that are longer than an otherwise idle machine of two cores needs. They say as much of the machine as of Drover.
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

// judge is an error where the run broke one of the promises that no machine's speed excuses. The demonstration itself sends nobody home,
// so that whoever went was sent by Drover.
func (b *board) judge() error {
	var errs []error
	for _, zero := range []struct {
		what string
		n    int
	}{{"lost writes", b.LostWrites}, {"duplicate writes", b.DuplicateWrites}, {"misplaced rows", b.MisplacedRows}, {"failed requests", b.FailedRequests}, {"violations", len(b.Violations)}} {
		if zero.n != 0 {
			errs = append(errs, fmt.Errorf("%d %s", zero.n, zero.what))
		}
	}
	for _, least := range []struct {
		what    string
		n, want int64
	}{
		{"customers that went home by themselves", int64(b.alone), 1}, {"batches that went home whole", int64(b.whole), 1},
		{"acknowledged writes", int64(b.AckedWrites), leastWrites},
		{"disk blocks verified", b.DiskBlocksVerified, 1}, {"objects verified", b.ObjectsVerified, 1}, {"rows verified", b.RowsVerified, 1},
	} {
		if least.n < least.want {
			errs = append(errs, fmt.Errorf("%d %s: at least %d", least.n, least.what, least.want))
		}
	}
	return errors.Join(errs...)
}
