package preflight

import (
	"context"
	"strings"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// grantee wants the roles on AWS that have rights to what is on premises.
func grantee(ctx context.Context, s *survey) error {
	if len(s.tables[migration.AWS]) > 0 {
		return nil // whoever brought the schema gave the rights
	}
	unknown, err := setup.UnknownGrantees(ctx, s.Pair)
	if err != nil {
		return err
	}
	for _, r := range unknown {
		s.block("role "+r+" on AWS", "it has rights in the database on premises, and AWS does not have it: they cannot be given there",
			"CREATE ROLE on AWS, or REVOKE on premises what is not needed")
	}
	foreign, err := setup.ForeignOwners(ctx, s.Pair)
	if err != nil {
		return err
	}
	if len(foreign) > 0 {
		s.warn(s.database(s.AWS), "roles "+strings.Join(foreign, ", ")+" own objects on premises, and the role on AWS may not act as "+
			"them: it will own everything there",
			"if ownership matters, make them there and GRANT them to that role before")
	}
	return nil
}
