package workload

import (
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
)

// ready is what runs on AWS, once it does.
type ready struct {
	addresses []string // to be registered behind the load balancer; none: it registers its own
	want      int      // targets that must be healthy
}

// kinds bring a workload up on AWS beside what runs, by what it runs on there.
var kinds = map[migration.TargetKind]func(*workload, workflow.Context) (ready, error){
	migration.KindEC2: func(w *workload, ctx workflow.Context) (ready, error) {
		addresses, err := w.startInstances(ctx)
		return ready{addresses: addresses, want: len(addresses)}, err
	},
	migration.KindFargate: func(w *workload, ctx workflow.Context) (ready, error) {
		return ready{want: w.spec.Fargate.Count}, w.startService(ctx)
	},
}
