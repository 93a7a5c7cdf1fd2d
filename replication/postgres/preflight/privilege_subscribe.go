package preflight

import (
	"context"

	"github.com/drover-migration/drover/replication/postgres"
)

// privilegeSubscribe wants the role to be able to make a subscription.
func privilegeSubscribe(ctx context.Context, s *survey, at *postgres.Server) error {
	r, err := readRole(ctx, at)
	if err == nil && !r.subscribe {
		s.block(r.subject(at), "it may not create subscriptions", "make it a member of pg_create_subscription (16 and newer) or "+
			"rds_superuser, or a superuser")
	}
	return err
}
