package setup

import (
	"context"
	"math"
	"slices"

	"github.com/drover-migration/drover/replication/postgres"
)

// span is a range of tenants' ids, both ends included.
type span struct{ first, last int64 }

// mostSpans keeps the row filters short, in which each span is a term.
const mostSpans = 1000

// spansWithout are the ids found in the data that are not in the plan, as at most so many spans
// that hold no tenant of the plan. If there are more, the smallest gaps between them are closed:
// ids in such a gap stay where they are, too, should anybody ever get one.
func spansWithout(found []int64, plan []int32, most int) []span {
	found = slices.Clone(found)
	slices.Sort(found)
	found = slices.Compact(found)
	in := make([]int64, len(plan))
	for i, t := range plan {
		in[i] = int64(t)
	}
	slices.Sort(in)
	var out []span
	for _, t := range found {
		if _, is := slices.BinarySearch(in, t); is {
			continue
		}
		if n := len(out); n > 0 && out[n-1].last == t-1 {
			out[n-1].last = t
		} else {
			out = append(out, span{t, t})
		}
	}
	if len(out) <= most {
		return out
	}
	var gaps []int64 // those that may be closed
	for i := 1; i < len(out); i++ {
		if free(in, out[i-1].last, out[i].first) {
			gaps = append(gaps, out[i].first-out[i-1].last)
		}
	}
	slices.Sort(gaps)
	close := min(len(out)-most, len(gaps))
	if close == 0 {
		return out
	}
	limit := gaps[close-1]
	joined := out[:1:1]
	for _, x := range out[1:] {
		if at := &joined[len(joined)-1]; x.first-at.last <= limit && free(in, at.last, x.first) {
			at.last = x.last
		} else {
			joined = append(joined, x)
		}
	}
	return joined
}

// Scattered is in how many spans the tenants lie that a plan leaves out, where that are more than
// are kept: gaps between them are closed then, and who signs up with an id in one stays on
// premises. 0: all are kept.
func Scattered(ctx context.Context, p *postgres.Pair, plan []int64) (int, error) {
	found, err := tenantsOf(ctx, p)
	if err != nil {
		return 0, err
	}
	ids, err := postgres.TenantIDs(append(slices.Clone(plan), p.Dataset.Synthetic...))
	if err != nil {
		return 0, err
	}
	if n := len(spansWithout(found, ids, math.MaxInt)); n > mostSpans {
		return n, nil
	}
	return 0, nil
}

// free says whether no tenant of the plan lies between two ids.
func free(plan []int64, a, b int64) bool {
	i, _ := slices.BinarySearch(plan, a)
	return i == len(plan) || plan[i] > b
}
