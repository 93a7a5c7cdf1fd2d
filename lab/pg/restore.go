package pg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Backup copies the data directory of a stopped server, as a snapshot of its volume would. A second
// backup replaces the first.
func (s *Server) Backup() error {
	if s.proc != nil {
		return fmt.Errorf("back up PostgreSQL %q: stop it first", s.opts.Name)
	}
	return s.copyData(s.home.data, s.backup())
}

// Restore puts the last backup in place of the data of a stopped server.
func (s *Server) Restore() error {
	if s.proc != nil {
		return fmt.Errorf("restore PostgreSQL %q: stop it first", s.opts.Name)
	}
	return s.copyData(s.backup(), s.home.data)
}

func (s *Server) backup() string { return s.home.data + ".backup" }

// copyData keeps owners and modes: the server refuses a directory that is not its own.
func (s *Server) copyData(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy the data of PostgreSQL %q: %w: %s", s.opts.Name, err, out)
	}
	return nil
}

// RestartOnNewTimeline starts a stopped server the way a promoted standby or a point-in-time
// recovery does: it recovers what WAL it has, and goes on along a new timeline.
func (s *Server) RestartOnNewTimeline(ctx context.Context) error {
	if s.proc != nil {
		return fmt.Errorf("promote PostgreSQL %q: stop it first", s.opts.Name)
	}
	signal := filepath.Join(s.home.data, "recovery.signal")
	owner, err := os.Stat(s.home.data)
	if err != nil {
		return err
	}
	conf, err := os.OpenFile(filepath.Join(s.home.data, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = conf.WriteString("restore_command = 'false'\n")
	err = errors.Join(err, conf.Close(), os.WriteFile(signal, nil, 0o600))
	if st, ok := owner.Sys().(*syscall.Stat_t); ok {
		err = errors.Join(err, os.Chown(signal, int(st.Uid), int(st.Gid)))
	}
	if err != nil {
		return fmt.Errorf("promote PostgreSQL %q: %w", s.opts.Name, err)
	}
	return s.Restart(ctx)
}
