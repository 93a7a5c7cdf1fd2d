package compute

import (
	"context"

	"github.com/drover-migration/drover/migration"
)

// kind is what this package does for a kind of target besides bringing it up.
type kind struct {
	// check says what is missing for a workload, and which security groups it names.
	check func(*check, context.Context, migration.Workload) (groups []string, err error)
	// retire takes away what Drover made for a workload; what is gone already is no error.
	retire func(*Maker, context.Context, Placed) error
}

var kinds = map[migration.TargetKind]kind{
	migration.KindEC2: {
		check: func(ch *check, ctx context.Context, w migration.Workload) ([]string, error) {
			return w.EC2.SecurityGroups, ch.profile(ctx, w)
		},
		retire: func(mk *Maker, ctx context.Context, req Placed) error {
			c, err := mk.clients.EC2(ctx, req.Target)
			if err != nil {
				return err
			}
			return retireInstances(ctx, c, req)
		},
	},
	migration.KindFargate: {
		check: func(ch *check, ctx context.Context, w migration.Workload) ([]string, error) {
			return w.Fargate.SecurityGroups, ch.fargate(ctx, w)
		},
		retire: func(mk *Maker, ctx context.Context, req Placed) error {
			c, err := mk.clients.ECS(ctx, req.Target)
			if err != nil {
				return err
			}
			return retireService(ctx, c, req)
		},
	},
}
