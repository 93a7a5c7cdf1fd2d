package preflight

import (
	"context"
	"fmt"
)

// encoding wants both databases to write text alike: rows are compared by their text.
func encoding(ctx context.Context, s *survey) error {
	var here, there string
	const ask = `SELECT current_setting('server_encoding')`
	if err := s.OnPrem.Pool.QueryRow(ctx, ask).Scan(&here); err != nil {
		return fmt.Errorf("read the encoding on premises: %w", err)
	}
	if err := s.AWS.Pool.QueryRow(ctx, ask).Scan(&there); err != nil {
		return fmt.Errorf("read the encoding on AWS: %w", err)
	}
	if here != there {
		s.block(s.database(s.AWS), "its encoding is "+there+", and on premises it is "+here+": no row with letters beyond ASCII would "+
			"compare alike",
			"make the database on AWS anew: CREATE DATABASE ... ENCODING '"+here+"' TEMPLATE template0")
	}
	return nil
}
