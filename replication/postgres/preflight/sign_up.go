package preflight

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

const (
	// fewTenants are no more than the spans that are kept of those who stay.
	fewTenants = 500
	// tenantsWithin is how long tenants are looked for.
	tenantsWithin = time.Minute
)

// signUp says where a newcomer would be taken for one of those whom the plan leaves out, because
// these are many and lie far apart.
func signUp(ctx context.Context, s *survey) error {
	about, err := s.aboutTenants(ctx, s.OnPrem)
	if err != nil || about < fewTenants || s.prepared || slices.ContainsFunc(s.tenants, isNoTenant) {
		return err
	}
	for _, t := range postgres.Of(s.tables[migration.OnPrem], postgres.Tenants) {
		if !tenantTypes[t.ColumnType] {
			return nil // of which is said that it cannot be
		}
	}
	soon, cancel := context.WithTimeout(ctx, tenantsWithin)
	defer cancel()
	n, err := setup.Scattered(soon, s.Pair, s.tenants)
	switch {
	case err != nil && soon.Err() != nil && ctx.Err() == nil:
		return nil // Prepare has the time
	case err != nil || n == 0:
		return err
	}
	words := "is taken for one of them: it writes on premises, and its rows come to AWS only when an amendment takes it in"
	if s.Newcomers() == migration.AWS {
		words = "is taken for one of them, and AWS refuses it though policy.newCustomers says aws"
	}
	s.warn(s.database(s.OnPrem), fmt.Sprintf("the tenants that the plan leaves out lie in %d ranges of ids, more than a row filter can "+
		"bear: who signs up with an id that lies between two of them %s", n, words),
		"none if new ids are higher than all others; else take more customers into the plan, if only into its last batch")
	return nil
}

func isNoTenant(id int64) bool {
	_, err := postgres.TenantID(id)
	return err != nil
}
