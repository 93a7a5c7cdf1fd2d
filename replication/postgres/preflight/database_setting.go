package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/drover-migration/drover/replication/postgres/setup"
)

// databaseSetting names what is set for the database, or for roles that have to do with it, and
// would not hold on AWS.
func databaseSetting(ctx context.Context, s *survey) error {
	roles, err := setup.Roles(ctx, s.Pair)
	if err != nil {
		return err
	}
	// A setting of a role in all databases counts if the role owns something here or may use it.
	// Drover's own role is none of the application's.
	const ask = `SELECT coalesce('role ' || nullif(r.rolname, '') || ': ', '') || c
		FROM pg_db_role_setting x LEFT JOIN pg_roles r ON r.oid = x.setrole, unnest(x.setconfig) c
		WHERE (r.oid IS NULL OR r.rolname <> current_user)
		  AND (x.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
		    OR x.setdatabase = 0 AND (x.setrole = 0 OR r.rolname = ANY ($1))) ORDER BY 1`
	here, err := names(ctx, s.OnPrem.Pool, ask, roles)
	if err != nil {
		return fmt.Errorf("read the settings of the database on premises: %w", err)
	}
	there, err := names(ctx, s.AWS.Pool, ask, roles)
	if err != nil {
		return fmt.Errorf("read the settings of the database on AWS: %w", err)
	}
	for _, x := range here {
		if name, value, _ := strings.Cut(x, "="); !slices.Contains(there, x) {
			s.warn(s.database(s.AWS), "on premises "+name+" is set to "+value+", and on AWS it is not: sessions of the application would "+
				"differ",
				"if the application needs it: ALTER DATABASE ... SET, ALTER ROLE ... SET or ALTER ROLE ... IN DATABASE ... SET on AWS")
		}
	}
	for at, settings := range map[string][]string{"on premises": here, "on AWS": there} {
		for _, x := range settings {
			if strings.HasSuffix(x, "session_replication_role=replica") {
				s.block("database "+s.Name+" "+at, "session_replication_role is replica for sessions of it ("+x+"): the guard does not "+
					"see what they write", "RESET it, and have what needs it set it for itself")
			}
		}
	}
	return nil
}
