package machines

import (
	"context"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/drover-migration/drover/lab/process"
)

// restartAfter is what a crashed process waits before it is started again, at least.
const restartAfter = 300 * time.Millisecond

// stopGrace is what a process gets to answer the requests it has before it is killed.
const stopGrace = 3 * time.Second

// life of one machine: its application, started again whenever it ends.
type life struct {
	machine Machine
	cancel  context.CancelFunc
	done    chan struct{}
}

func (c *Controller) start(m Machine) *life {
	ctx, cancel := context.WithCancel(context.Background())
	l := &life{machine: m, cancel: cancel, done: make(chan struct{})}
	env := c.environment(m)
	go func() {
		defer close(l.done)
		for ctx.Err() == nil {
			if err := c.runOnce(ctx, m, env); ctx.Err() == nil {
				c.logf("%s (%s) ended and is started again: %v", m.Name, m.Address, err)
				pause(ctx, restartAfter)
			}
		}
	}()
	return l
}

// stop ends the process and waits for it.
func (l *life) stop() {
	l.cancel()
	<-l.done
}

func (c *Controller) runOnce(ctx context.Context, m Machine, env []string) error {
	p, err := process.Start(process.Options{Name: m.Name, Path: c.conf.Command[0], Args: c.conf.Command[1:], Env: env, Log: c.conf.Log,
		Patience: stopGrace})
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
		return p.Err()
	case <-ctx.Done():
		p.Close()
		return ctx.Err()
	}
}

// environment is all a machine knows: nothing of the laboratory's own, and of AWS only what a
// machine there is given.
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
