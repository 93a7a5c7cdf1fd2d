package board

import (
	"fmt"
	"slices"
	"time"

	"github.com/drover-migration/drover/migration"
)

// Consistent says what a workload or a dataset has on its other side for certain; "": that is not
// known. The times are written by at.
func Consistent(p migration.PieceStatus, at func(time.Time) string) string {
	n, blocks, asOf := p.Disks()
	switch {
	case n > 0 && !asOf.IsZero():
		return fmt.Sprintf("%s as of %s, %s written and read back", plural(n, "disk", "disks"), at(asOf),
			plural(int(blocks), "block", "blocks"))
	case n > 0:
		return fmt.Sprintf("%s, %s written and read back", plural(n, "disk", "disks"), plural(int(blocks), "block", "blocks"))
	case !p.AsOf.IsZero():
		return "all that was written before " + at(p.AsOf) + " is on both sides"
	default:
		return ""
	}
}

// AsOf is the last consistent point of all datasets of a customer; zero: of one it is not known, or
// there is none.
func (s *Snapshot) AsOf(c Customer) (oldest time.Time) {
	for _, d := range s.Status.Datasets {
		if !slices.Contains(c.Spec.Datasets, d.Name) {
			continue
		}
		if d.AsOf.IsZero() {
			return time.Time{}
		}
		if oldest.IsZero() || d.AsOf.Before(oldest) {
			oldest = d.AsOf
		}
	}
	return oldest
}
