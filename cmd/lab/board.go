package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/drover-migration/drover/lab/load"
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

	Violations []string `json:"violations,omitempty"`

	expectBack int // Moves back that fate made necessary
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
	b := &board{expectBack: 1 + len(s.batch(s.wave)), AckedWrites: sum.AckedWrites, Requests: sum.Requests, FailedRequests: sum.FailedRequests, RetriedRequests: sum.RetriedRequests,
		ClientStallMS: percentiles{P99: &sum.StallP99, Max: &sum.StallMax}, FaultedStallMS: percentiles{Max: &sum.FaultedStallMax}}
	var freezes, back []int64
	for _, c := range s.Shape.Customers() {
		st, err := s.client.Customer(ctx, s.Shape.Name, c.ID)
		if err != nil {
			return nil, err
		}
		b.Customers++
		if st.Home == migration.AWS {
			b.Moved++
		}
		if st.Phase == migration.PhaseHeld {
			b.Held++
		}
		for _, m := range st.Moves {
			if m.To == migration.OnPrem {
				b.RolledBack++
			}
			if m.Freeze > 0 { // else it was finished by its repair, and nobody measured it
				freezes = append(freezes, m.Freeze.D().Milliseconds())
			}
		}
		back = append(back, st.RollbackMS...)
	}
	slices.Sort(freezes)
	slices.Sort(back)
	b.FreezeMS = percentiles{P50: rank(freezes, .5), P99: rank(freezes, .99), Max: rank(freezes, 1)}
	b.RollbackMS = percentiles{P50: rank(back, .5), Max: rank(back, 1)}
	truth, err := s.Verify(ctx)
	if err != nil {
		return nil, err
	}
	b.LostWrites, b.DuplicateWrites, b.MisplacedRows = truth.LostWrites, truth.DuplicateWrites, truth.MisplacedRows
	b.DiskBlocksVerified, b.ObjectsVerified, b.RowsVerified = truth.DiskBlocksVerified, truth.ObjectsVerified, truth.RowsVerified
	b.Violations = append(truth.Violations, sum.Failures...)
	for _, c := range sum.Unanswered {
		b.Violations = append(b.Violations, "customer "+c+" has had no good answer since it was broken")
	}
	return b, nil
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
	for _, t := range b.slow() {
		fmt.Fprintf(w, "  slow: %s\n", t)
	}
	fmt.Fprintf(w, "%s\n", line)
}

// judge is an error where the run broke one of the promises that no machine's speed excuses.
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
		{"Moves back: a customer and a whole batch were to go home", int64(b.RolledBack), int64(b.expectBack)}, {"acknowledged writes", int64(b.AckedWrites), leastWrites},
		{"disk blocks verified", b.DiskBlocksVerified, 1}, {"objects verified", b.ObjectsVerified, 1}, {"rows verified", b.RowsVerified, 1},
	} {
		if least.n < least.want {
			errs = append(errs, fmt.Errorf("%d %s; want %d at least", least.n, least.what, least.want))
		}
	}
	return errors.Join(errs...)
}

// leastWrites is how many writes a demonstration must have acknowledged to say anything.
const leastWrites = 10_000

// slow names the times that were missed. They hold on a machine of two cores that does nothing else.
func (b *board) slow() (out []string) {
	for _, t := range []struct {
		what      string
		got, most int64
	}{
		{"freeze p99", *b.FreezeMS.P99, 500}, {"longest wait of a client", *b.ClientStallMS.Max, 3000}, {"longest wait of a broken customer's client", *b.FaultedStallMS.Max, 8000},
		{"wall time", int64(b.WallS * 1000), 300_000},
	} {
		if t.got >= t.most {
			out = append(out, fmt.Sprintf("%s: %d ms, and on an otherwise idle machine under %d ms", t.what, t.got, t.most))
		}
	}
	return out
}
