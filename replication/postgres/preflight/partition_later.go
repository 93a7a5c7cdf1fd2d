package preflight

import (
	"context"
	"strings"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// partitionLater says what becomes of partitions that are made while the plan runs: a server gives
// them no identity of their parent's, and the other side does not get them.
func partitionLater(_ context.Context, s *survey) error {
	var list []string
	for _, t := range s.tables[migration.OnPrem] {
		if t.Partitioned && (t.Class == postgres.Tenants || t.Class == postgres.Reference) {
			list = append(list, t.String())
		}
	}
	if len(list) > 0 {
		s.warn(s.database(s.OnPrem), "a partition of "+strings.Join(list, ", ")+" that is made while the plan runs may refuse updates "+
			"until Drover has taken it in, and its rows stop replication of everybody if AWS does not have it",
			"make those that the plan's time needs beforehand, also where a job makes them (pg_partman); later ones on AWS first, and "+
				"then as docs/runbook.md says (\"A release changes the database's schema\")")
	}
	return nil
}
