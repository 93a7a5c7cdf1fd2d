package check

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
)

// A preflight relates them to the connections that there are.
func TestThePreflightCountsWhoMayBeOnTheWayAtATimeOverTheWholePlan(t *testing.T) {
	of := func(customers ...int) (p state.Plan) {
		for i, n := range customers {
			p.Batches = append(p.Batches, migration.Batch{Name: fmt.Sprint("b", i), Customers: make([]string, n), Concurrency: 10})
		}
		return p
	}
	for name, c := range map[string]struct {
		plan        state.Plan
		going, back int
	}{
		"no batch":                         {of(), 0, 0},
		"one batch":                        {of(300), 10, 20},
		"three batches share":              {of(100, 100, 100), 10, 22},
		"a hundred batches have one each":  {of(slices.Repeat([]int{1}, 100)...), 10, 100},
		"a small batch beside a large one": {of(1500, 3), 10, 21},
	} {
		t.Run(name, func(t *testing.T) {
			going, back := movesAtOnce(c.plan)
			require.Equal(t, c.going, going)
			require.Equal(t, c.back, back)
		})
	}
}
