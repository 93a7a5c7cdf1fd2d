package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// databaseGrant names rights to the database itself that differ on AWS: they are no part of a
// schema, and are not carried.
func databaseGrant(ctx context.Context, s *survey) error {
	const ask = `SELECT a.privilege_type || ' to ' || CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE 'role ' || pg_get_userbyid(a.grantee) END
		FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
		WHERE d.datname = current_database() AND a.grantee <> d.datdba AND pg_get_userbyid(a.grantee) <> current_user ORDER BY 1`
	here, err := names(ctx, s.OnPrem.Pool, ask)
	if err != nil {
		return fmt.Errorf("read the rights to the database on premises: %w", err)
	}
	there, err := names(ctx, s.AWS.Pool, ask)
	if err != nil {
		return fmt.Errorf("read the rights to the database on AWS: %w", err)
	}
	lacks := slices.DeleteFunc(slices.Clone(here), func(x string) bool {
		right, _, _ := strings.Cut(x, " to ")
		return slices.Contains(there, x) || slices.Contains(there, right+" to PUBLIC")
	})
	more := slices.DeleteFunc(slices.Clone(there), func(x string) bool {
		return slices.Contains(here, x) || !strings.HasSuffix(x, " PUBLIC")
	})
	if len(lacks) > 0 {
		s.warn(s.database(s.AWS), "it does not give "+strings.Join(lacks, ", ")+", which the one on premises does",
			"GRANT ... ON DATABASE on AWS")
	}
	if len(more) > 0 {
		s.warn(s.database(s.AWS), "it gives "+strings.Join(more, ", ")+", which the one on premises does not",
			"REVOKE ... ON DATABASE ... FROM PUBLIC on AWS")
	}
	return nil
}
