package pg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover-migration/drover/lab/process"
)

// Mode is how a server is stopped.
type Mode int

// The modes.
const (
	Fast      Mode = iota // sessions are ended, everything is written down
	Immediate             // as in a crash: recovery at the next start
)

func (m Mode) signal() syscall.Signal {
	if m == Immediate {
		return syscall.SIGQUIT
	}
	return syscall.SIGINT
}

// Restart starts a stopped server, or stops it first (Fast). It returns when the server takes
// connections.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(Fast); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := s.start(ctx)
		// The processes of a server that was killed need a moment to notice; until then the data
		// directory is theirs.
		if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "pre-existing shared memory block") {
			return err
		}
		_ = os.Truncate(s.home.log, 0)
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *Server) start(ctx context.Context) error {
	p, err := process.Start(process.Options{
		Name: s.opts.Name, LogDir: filepath.Dir(s.home.log), Dir: "/", Env: serverEnv(), Credential: serverUser(),
		Path: filepath.Join(s.home.bin, "postgres"),
		Args: []string{"-D", s.home.data, "-p", strconv.Itoa(s.Port), "-c", "listen_addresses=" + s.Host},
		// SIGQUIT when the lab dies, and not SIGKILL: the server then takes its shared memory with
		// it.
		Death: syscall.SIGQUIT,
	})
	if err != nil {
		return fmt.Errorf("start PostgreSQL %q: %w", s.opts.Name, err)
	}
	s.proc = p
	if err := p.Ready(ctx, func(context.Context) error { return s.ready() }); err != nil {
		return errors.Join(fmt.Errorf("start PostgreSQL %q: %w", s.opts.Name, err), s.Stop(Immediate))
	}
	return nil
}

// ready reads the last line of postmaster.pid, where the postmaster writes its state.
func (s *Server) ready() error {
	b, err := os.ReadFile(s.home.pidfile())
	if err != nil {
		return err
	}
	l := strings.Split(string(b), "\n")
	if len(l) < 8 || strings.TrimSpace(l[0]) != strconv.Itoa(s.proc.Pid()) || strings.TrimSpace(l[7]) != "ready" {
		return errors.New("its postmaster.pid does not say so")
	}
	return nil
}

// Stop stops the server and waits until it has ended. A stopped server stays stopped.
func (s *Server) Stop(m Mode) error {
	if s.proc == nil {
		return nil
	}
	if err := s.proc.Signal(m.signal()); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop PostgreSQL %q: %w", s.opts.Name, err)
	}
	select {
	case <-s.proc.Done():
		s.proc = nil
		return nil
	case <-time.After(30 * time.Second):
		return s.Kill9()
	}
}

// Kill9 ends the server and all its processes without a word to them, as the loss of power would.
func (s *Server) Kill9() error {
	if s.proc == nil {
		return nil
	}
	pid := s.proc.Pid()
	children := childrenOf(pid) // sessions of their own: a signal to the group would miss them
	for _, p := range append([]int{pid}, children...) {
		_ = syscall.Kill(p, syscall.SIGKILL)
	}
	<-s.proc.Done()
	s.proc = nil
	return nil
}

func childrenOf(pid int) (out []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range stats {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		// pid (name, which may hold anything) state ppid ...
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			if child, err := strconv.Atoi(filepath.Base(filepath.Dir(f))); err == nil {
				out = append(out, child)
			}
		}
	}
	return out
}

// Close stops the server and removes what it had: processes, shared memory, files. Closing twice is
// one close.
func (s *Server) Close() error {
	if s.home == nil {
		return nil
	}
	err := s.Stop(Fast)
	removeSharedMemory(s.home.pidfile())
	basesMu.Lock()
	defer basesMu.Unlock()
	err = errors.Join(err, s.home.close())
	s.home = nil
	return err
}

// removeSharedMemory removes the segment that a killed server left: its id is the second number of
// the seventh line. After an orderly stop there is no such file.
func removeSharedMemory(pidfile string) {
	b, err := os.ReadFile(pidfile)
	if err != nil {
		return
	}
	if l := strings.Split(string(b), "\n"); len(l) >= 7 {
		if f := strings.Fields(l[6]); len(f) == 2 {
			if id, err := strconv.Atoi(f[1]); err == nil {
				_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
			}
		}
	}
}
