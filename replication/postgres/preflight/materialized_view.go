package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/drover-migration/drover/replication/postgres"
)

// materializedView names views that are filled once, after the first copy, and then by whoever
// fills them on premises.
func materializedView(ctx context.Context, s *survey) error {
	list, err := names(ctx, s.OnPrem.Pool,
		`SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm' AND `+
			postgres.NotOurs+` ORDER BY 1`)
	if err != nil {
		return fmt.Errorf("read materialised views: %w", err)
	}
	if len(list) > 0 {
		s.warn(s.database(s.OnPrem), "materialised views are not replicated: "+strings.Join(list, ", ")+" are filled on AWS once, after "+
			"the first copy",
			"have the application refresh them on AWS as it does on premises")
	}
	return nil
}
