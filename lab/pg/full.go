package pg

import (
	"context"
	"fmt"
	"strconv"
)

// fullAt is the size beyond which no file grows while the server's disk is full, in bytes: less
// than a segment of the WAL.
const fullAt = 64 << 10

// Fill makes the server's disk full, as far as the server can see: no file of its processes is
// written beyond its first pages. The WAL cannot be written, and the server ends itself.
func (s *Server) Fill(ctx context.Context) error { return s.limit(ctx, strconv.Itoa(fullAt), true) }

// Empty takes Fill back, also for what a server starts that lives on.
func (s *Server) Empty(ctx context.Context) error { return s.limit(ctx, "unlimited", false) }

// limit bounds the files of the postmaster, from which later processes have it, and of its
// children. The server's own user may do that; root without CAP_SYS_RESOURCE, as in a container,
// may not.
func (s *Server) limit(ctx context.Context, bytes string, must bool) error {
	if s.proc == nil {
		return fmt.Errorf("limit the files of PostgreSQL %q: it does not run", s.opts.Name)
	}
	pid := s.proc.Pid()
	for _, p := range append([]int{pid}, childrenOf(pid)...) {
		// A process that has ended meanwhile needs no limit.
		err := command(ctx, "prlimit", "--pid", strconv.Itoa(p), "--fsize="+bytes+":")
		if err != nil && p == pid && must {
			return fmt.Errorf("limit the files of PostgreSQL %q: %w", s.opts.Name, err)
		}
	}
	return nil
}
