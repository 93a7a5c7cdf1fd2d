package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// otherPlan wants both databases to be nobody's, or this plan's already.
func otherPlan(ctx context.Context, s *survey, at *postgres.Server) error {
	other, err := s.OtherOwner(ctx, at.Pool)
	if postgres.IsCode(err, "42501") {
		other, err = "a plan that connects as another role", nil
	}
	if err != nil {
		return fmt.Errorf("read whose the database is: %w", err)
	}
	if other != "" {
		s.block(s.database(at), "it is replicated by "+other+" already; a second plan would copy its rows twice and take away the first "+
			"one's way back",
			"wait until that plan has ended, or end it with `drover abort`; another name for this plan does not help")
	}
	return nil
}
