package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// databaseSetting names what is set for the database or for roles in it and would not hold on AWS.
func databaseSetting(ctx context.Context, s *survey) error {
	const ask = `SELECT coalesce('role ' || nullif(r.rolname, '') || ': ', '') || c
		FROM pg_db_role_setting x LEFT JOIN pg_roles r ON r.oid = x.setrole, unnest(x.setconfig) c
		WHERE x.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1`
	here, err := names(ctx, s.OnPrem.Pool, ask)
	if err != nil {
		return fmt.Errorf("read the settings of the database on premises: %w", err)
	}
	there, err := names(ctx, s.AWS.Pool, ask)
	if err != nil {
		return fmt.Errorf("read the settings of the database on AWS: %w", err)
	}
	for _, x := range here {
		if slices.Contains(there, x) {
			continue
		}
		name, value, _ := strings.Cut(x, "=")
		s.warn(s.database(s.AWS), "on premises "+name+" is set to "+value+" for the database, and on AWS it is not: sessions of the "+
			"application would differ",
			"if the application needs it: ALTER DATABASE ... SET (or ALTER ROLE ... IN DATABASE ... SET) on AWS")
	}
	return nil
}
