// Package process runs the lab's child processes: each in a process group of its own, gone with its
// parent whatever ends it, its output in a file that is shown when it fails.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options of a process.
type Options struct {
	Name       string // for errors and the log file
	Path       string
	Args       []string
	Env        []string // complete; nil: the parent's
	Dir        string
	LogDir     string              // NAME.log is appended to there
	Log        io.Writer           // gets the output instead, and errors do not show its end; nil: the file
	Credential *syscall.Credential // another user; nil: the parent's
	Death      syscall.Signal      // the kernel sends it when the parent dies; 0: SIGKILL
	Stop       syscall.Signal      // asks it to end; 0: SIGTERM
	Patience   time.Duration       // before Close kills it; 0: five seconds
}

// Process is a running child.
type Process struct {
	opts Options
	cmd  *exec.Cmd
	log  string // "": Options.Log
	done chan struct{}
	err  error
	once sync.Once
}

// Start starts a child. Errors: its log cannot be written, or it cannot be run.
func Start(o Options) (*Process, error) {
	if o.Death == 0 {
		o.Death = syscall.SIGKILL
	}
	if o.Stop == 0 {
		o.Stop = syscall.SIGTERM
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	p := &Process{opts: o, cmd: exec.Command(o.Path, o.Args...), done: make(chan struct{})}
	out := o.Log
	if out == nil {
		p.log = filepath.Join(o.LogDir, o.Name+".log")
		file, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, fmt.Errorf("log of %s: %w", o.Name, err)
		}
		defer func() { _ = file.Close() }() // the child has its own
		out = file
	}
	p.cmd.Env, p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = o.Env, o.Dir, out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: o.Death, Credential: o.Credential}
	// A log that is no file is fed through a pipe, which grandchildren may hold open for longer
	// than the child lives.
	p.cmd.WaitDelay = time.Second
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Name, err)
	}
	return p, nil
}

func (p *Process) run(started chan<- error) {
	// The death signal is sent when the *thread* that started the child ends: this one stays until
	// the child has.
	runtime.LockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	// What the child left in its group goes with it.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	close(p.done)
}

// Pid of the child.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is how it ended, and never nil: known once Done is closed.
func (p *Process) Err() error {
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

// Signal sends a signal to the whole group. Error: os.ErrProcessDone.
func (p *Process) Signal(s syscall.Signal) error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
	}
	err := syscall.Kill(-p.cmd.Process.Pid, s)
	if errors.Is(err, syscall.ESRCH) { // it ends at this moment
		return os.ErrProcessDone
	}
	return err
}

// Kill ends it at once, as a crash would, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	<-p.done
}

// Close asks it to end, waits, and kills it when it does not.
func (p *Process) Close() {
	p.once.Do(func() {
		_ = p.Signal(p.opts.Stop)
		select {
		case <-p.done:
		case <-time.After(p.opts.Patience):
			p.Kill()
		}
	})
}

// Ready waits until check succeeds. A child that ends first is an error that shows the end of its
// log, and ends the check's context.
func (p *Process) Ready(ctx context.Context, check func(context.Context) error) error {
	checks, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.done:
			cancel()
		case <-checks.Done():
		}
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		last := check(checks)
		if last == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready (%w)\n%s", p.opts.Name, p.Err(), p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready (%w): %w\n%s", p.opts.Name, ctx.Err(), last, p.tail())
		case <-tick.C:
		}
	}
}

// tail is the end of the log.
func (p *Process) tail() string {
	if p.log == "" {
		return ""
	}
	b, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
