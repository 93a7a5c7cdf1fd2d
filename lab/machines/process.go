package machines

import (
	"context"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// restartAfter is what a crashed process waits before it is started again, at least.
const restartAfter = 300 * time.Millisecond

// stopGrace is what a process gets to answer the requests it has before it is killed.
const stopGrace = 3 * time.Second

// process is the life of one machine: its application, started again whenever it ends.
type process struct {
	machine Machine
	cancel  context.CancelFunc
	done    chan struct{}
}

func (c *Controller) start(m Machine) *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{machine: m, cancel: cancel, done: make(chan struct{})}
	env := c.environment(m)
	go func() {
		defer close(p.done)
		// The kernel kills the child when the thread that started it ends: this goroutine keeps its thread.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for ctx.Err() == nil {
			if err := c.runOnce(ctx, env); ctx.Err() == nil {
				c.logf("%s (%s) ended and is started again: %v", m.Name, m.Address, err)
				pause(ctx, restartAfter)
			}
		}
	}()
	return p
}

// stop ends the process and waits for it.
func (p *process) stop() {
	p.cancel()
	<-p.done
}

func (c *Controller) runOnce(ctx context.Context, env []string) error {
	cmd := exec.CommandContext(ctx, c.conf.Command[0], c.conf.Command[1:]...)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = c.conf.Log, c.conf.Log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	return cmd.Run()
}

// environment is all a machine knows: nothing of the laboratory's own, and of AWS only what a machine there is given.
func (c *Controller) environment(m Machine) []string {
	env := map[string]string{"PATH": os.Getenv("PATH"), "GOMAXPROCS": "2", "GOGC": "200"}
	if m.Side == "aws" {
		merge(env, c.conf.AWSEnv)
	}
	merge(env, m.Env)
	env["NAME"], env["SIDE"], env["TENANTS"] = m.Name, m.Side, c.conf.Tenants
	env["LISTEN"] = net.JoinHostPort(m.Address, strconv.Itoa(c.conf.Port))
	if c.conf.AdminPort != 0 {
		env["ADMIN"] = net.JoinHostPort(m.Address, strconv.Itoa(c.conf.AdminPort))
	}
	out := make([]string, 0, len(env))
	for k, v := range env {
		out = append(out, k+"="+v)
	}
	return out
}
