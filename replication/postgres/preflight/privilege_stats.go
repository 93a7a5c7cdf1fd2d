package preflight

import (
	"context"

	"github.com/drover-migration/drover/replication/postgres"
)

// privilegeStats wants the role to see what other roles' sessions do.
func privilegeStats(ctx context.Context, s *survey, at *postgres.Server) error {
	r, err := readRole(ctx, at)
	if err == nil && !r.stats {
		s.warn(r.subject(at), "it may not see what other roles' sessions do: old transactions that would hold up a fence are not found "+
			"beforehand", "GRANT pg_read_all_stats TO "+r.name)
	}
	return err
}
