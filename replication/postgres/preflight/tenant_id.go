package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// tenantID wants keys that a fence can be looked up by.
func tenantID(_ context.Context, s *survey) error {
	for _, t := range s.tenants {
		if _, err := postgres.TenantID(t); err != nil {
			s.block(fmt.Sprintf("tenant %d", t), err.Error(), "give the customer's integer key as customers[].tenant")
		}
	}
	return nil
}
