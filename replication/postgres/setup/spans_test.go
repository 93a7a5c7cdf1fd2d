package setup

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTenantsThatStayAreFewSpansWithoutATenantOfThePlan(t *testing.T) {
	for _, x := range []struct {
		name  string
		found []int64
		plan  []int32
		most  int
		want  []span
	}{
		{"nobody", nil, []int32{1}, 10, nil},
		{"neighbours are one", []int64{5, 1, 2, 3, 3}, []int32{9}, 10, []span{{1, 3}, {5, 5}}},
		{"the plan's own are left out", []int64{1, 2, 3}, []int32{2}, 10, []span{{1, 1}, {3, 3}}},
		{"the smallest gap is closed first", []int64{1, 3, 100, 1000}, nil, 3, []span{{1, 3}, {100, 100}, {1000, 1000}}},
		{"no gap with a tenant of the plan is closed", []int64{1, 3, 100}, []int32{2}, 1, []span{{1, 1}, {3, 100}}},
		{"ids beyond an int", []int64{7000000000, 7000000001}, []int32{1}, 10, []span{{7000000000, 7000000001}}},
	} {
		t.Run(x.name, func(t *testing.T) { require.Equal(t, x.want, spansWithout(x.found, x.plan, x.most)) })
	}
	rapid.Check(t, func(t *rapid.T) {
		found := rapid.SliceOfN(rapid.Int64Range(-50, 200), 0, 60).Draw(t, "found")
		plan := rapid.SliceOfN(rapid.Int32Range(-50, 200), 0, 20).Draw(t, "plan")
		got := spansWithout(found, plan, rapid.IntRange(1, 20).Draw(t, "most"))
		in := func(id int64) (n int) {
			for _, x := range got {
				if x.first <= id && id <= x.last {
					n++
				}
			}
			return n
		}
		mine := map[int64]bool{}
		for _, p := range plan {
			mine[int64(p)] = true
			require.Zero(t, in(int64(p)))
		}
		for _, f := range found {
			if !mine[f] {
				require.Equal(t, 1, in(f))
			}
		}
	})
}
