package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/drover-migration/drover/replication/postgres"
)

// money wants both sides to write amounts alike: a value of that type travels as its text, in the
// locale of the session, and would be read as another amount, or not at all.
func money(ctx context.Context, s *survey, t postgres.Table) error {
	columns, err := names(ctx, s.OnPrem.Pool, `SELECT attname::text FROM pg_attribute WHERE attrelid = $1 AND attnum > 0
		AND NOT attisdropped AND atttypid IN ('money'::regtype, 'money[]'::regtype) ORDER BY attnum`, t.OID)
	if err != nil {
		return fmt.Errorf("read its columns: %w", err)
	}
	if len(columns) == 0 {
		return nil
	}
	var here, there string
	const ask = `SELECT current_setting('lc_monetary')`
	if err := s.OnPrem.Pool.QueryRow(ctx, ask).Scan(&here); err != nil {
		return fmt.Errorf("read the locale on premises: %w", err)
	}
	if err := s.AWS.Pool.QueryRow(ctx, ask).Scan(&there); err != nil {
		return fmt.Errorf("read the locale on AWS: %w", err)
	}
	if here != there {
		s.block("table "+t.String(), "its columns "+strings.Join(columns, ", ")+" are money, and lc_monetary is "+here+" on premises and "+
			there+" on AWS: amounts would be read otherwise than they were written",
			"make both alike: ALTER DATABASE ... SET lc_monetary, or make the columns numeric")
	}
	return nil
}
