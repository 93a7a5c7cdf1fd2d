package pg

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// fullAt is the size beyond which no file grows while the server's disk is full, in bytes: less
// than a segment of the WAL.
const fullAt = 64 << 10

// Fill makes the server's disk full, as far as the server can see: no file of its processes is
// written beyond its first pages. The WAL cannot be written, and the server ends itself.
func (s *Server) Fill() error { return s.limit(fullAt) }

// Empty takes Fill back, also for what a server starts that lives on.
func (s *Server) Empty() error { return s.limit(unix.RLIM_INFINITY) }

func (s *Server) limit(bytes uint64) error {
	if s.proc == nil {
		return fmt.Errorf("limit the files of PostgreSQL %q: it does not run", s.opts.Name)
	}
	pid := s.proc.Pid()
	for _, p := range append([]int{pid}, childrenOf(pid)...) {
		// A process that has ended meanwhile needs no limit.
		err := unix.Prlimit(p, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}, nil)
		if err != nil && p == pid && bytes == fullAt {
			return fmt.Errorf("limit the files of PostgreSQL %q: %w", s.opts.Name, err)
		}
	}
	return nil
}
