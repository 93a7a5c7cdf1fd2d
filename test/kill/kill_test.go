package kill

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/migration"
)

// steps of a Move, as activities. The worker dies when each has had its effect and has not said so.
// What is inside the freeze is killed at its statements (test/freeze).
var steps = []string{"FreezeCustomer", "ReconcileRoute"}

// settleLimit is far more than a killed Move takes to be tried again and to end.
const settleLimit = 90 * time.Second

func TestAKilledWorkerChangesNothingAboutTheOutcome(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Minute)
	defer cancel()
	b := newBench(ctx, t, lab.SmallShape(3))
	b.submit(ctx)
	id := b.lab.Shape.Customers()[0].ID
	b.settled(ctx, id, migration.AWS)

	for _, step := range steps {
		for _, to := range []migration.Side{migration.OnPrem, migration.AWS} {
			t.Run(fmt.Sprintf("after %s on the way to %s", step, to), func(t *testing.T) {
				killed := b.killAfter(step)
				b.send(ctx, t, id, to)
				b.reached(t, killed)
				b.startWorker(t)
				b.settled(ctx, id, to)
				b.consistent(ctx, t)
			})
		}
	}
	b.nothingLost(ctx, t)
}
