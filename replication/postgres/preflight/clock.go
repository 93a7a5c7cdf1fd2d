package preflight

import (
	"context"

	"github.com/drover-migration/drover/replication/postgres"
)

// clock compares the server's clock with the worker's.
func clock(ctx context.Context, s *survey, at *postgres.Server) error {
	words, err := s.Clock(ctx, at)
	if err == nil && words != "" {
		s.warn(s.database(at), words, postgres.ClockRemedy)
	}
	return err
}
