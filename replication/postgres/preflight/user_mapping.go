package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// userMapping names the foreign servers whose logins are not carried: they hold passwords, which
// would be in a statement.
func userMapping(ctx context.Context, s *survey) error {
	servers, err := names(ctx, s.OnPrem.Pool, `SELECT DISTINCT srvname::text FROM pg_user_mappings ORDER BY 1`)
	if err != nil {
		return fmt.Errorf("read user mappings: %w", err)
	}
	there, err := names(ctx, s.AWS.Pool, `SELECT DISTINCT srvname::text FROM pg_user_mappings ORDER BY 1`)
	if err != nil {
		return fmt.Errorf("read user mappings on AWS: %w", err)
	}
	lost := slices.DeleteFunc(servers, func(name string) bool { return slices.Contains(there, name) })
	if len(lost) > 0 {
		s.warn(s.database(s.AWS), "the logins of the foreign servers "+strings.Join(lost, ", ")+" (USER MAPPING) hold passwords and are "+
			"not carried there", "CREATE USER MAPPING on AWS, after the servers have come there")
	}
	return nil
}
