package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/load"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
)

// failover is a server that comes back without what it had committed since a moment: a standby that
// had not received it, or a backup. Each has a lab of its own, since nothing brings back what the
// server forgot.
type failover struct {
	name  string
	side  migration.Side
	start func(*pg.Server, context.Context) error
}

func failovers() (out []failover) {
	for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
		out = append(out,
			failover{"failover/" + string(side) + "/to a standby that missed the seal", side, (*pg.Server).RestartOnNewTimeline},
			failover{"failover/" + string(side) + "/restored from a backup", side, (*pg.Server).Restart})
	}
	return out
}

// failovers runs those that are due.
func (m *matrix) failovers(ctx context.Context) error {
	for _, f := range failovers() {
		if m.over(ctx) || !m.isDue(f.name) {
			continue
		}
		r, err := startRig(ctx, m.tools, filepath.Join(m.out, "faults-lab"), m.binaries, shape(chainCustomers))
		if err != nil {
			return err
		}
		if err = r.aloft(ctx, aloftLimit); err == nil {
			// Its server seals the customer, and forgets that.
			c := cell{name: f.name, from: f.side, alone: true, shares: settleLimit, loses: true,
				play: func(p *play) error { return p.forget(f) }}
			_, err = m.one(ctx, r, c, [2]lab.Customer{r.Shape.Customers()[0], r.Shape.Customers()[1]})
		}
		r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// forget has a customer leave the side, whose server then forgets it.
func (p *play) forget(f failover) error {
	server := p.Server(f.side)
	if err := errors.Join(server.Stop(pg.Fast), server.Backup(), server.Restart(p.ctx)); err != nil {
		return err
	}
	p.forgotFrom = time.Now()
	to := f.side.Other()
	if err := p.there(to); err != nil {
		return err
	}
	p.forgotHome = map[string]bool{}
	for _, c := range []lab.Customer{p.customer, p.bystander} {
		s, err := p.client.Customer(p.ctx, p.Shape.Name, c.ID)
		if err != nil {
			return err
		}
		p.forgotHome[c.ID] = s.Home == f.side
	}
	if err := errors.Join(server.Stop(pg.Immediate), server.Restore(), f.start(server, p.ctx)); err != nil {
		return err
	}
	p.forgotTo = time.Now()
	doubted := func() bool {
		s, err := p.client.Migration(p.ctx, p.Shape.Name)
		p.note = s.Reason
		return err == nil && s.Paused && s.Reason != ""
	}
	if !eventually(p.ctx, bothOpenMost, doubted) {
		return fmt.Errorf("within %s nobody noticed that the server on %s has forgotten commits", bothOpenMost, f.side)
	}
	if err := p.agree(f.side); err != nil {
		return err
	}
	sides := &sides{rig: p.rig, tenant: p.customer.Tenant}
	defer sides.close()
	alone := func() bool { s, err := sides.read(p.ctx); return err == nil && s.open(to) && !s.open(f.side) }
	if !eventually(p.ctx, bothOpenMost, alone) {
		return fmt.Errorf("customer %s is not open on %s alone, %s after somebody agreed to the server", p.customer.ID, to, bothOpenMost)
	}
	return p.settle(to)
}

// agree looks at both servers as an operator does, and agrees to the one that stands there now.
func (p *play) agree(side migration.Side) error {
	report, err := p.doctor()
	if err != nil && report == nil {
		return err
	}
	for _, d := range report.Datasets {
		for _, s := range d.Servers {
			if s.Side != side {
				continue
			}
			_, err := p.rig.drover("doctor", p.Plan, "--agree", d.Dataset+"/"+string(side), "--server", s.Now.String(),
				"--reason", "looked at it", "--yes")
			if err != nil && !strings.Contains(err.Error(), "exit status 8") {
				return err
			}
			return nil
		}
	}
	return fmt.Errorf("drover doctor shows no server on %s: %+v", side, report)
}

func (p *play) doctor() (*migration.DoctorReport, error) {
	out, err := p.rig.drover("doctor", p.Plan, "-o", "json")
	var report migration.DoctorReport
	if e := json.Unmarshal(out, &report); e != nil {
		return nil, errors.Join(err, e)
	}
	return &report, nil
}

// drover runs the product's command as a person would.
func (r *rig) drover(args ...string) ([]byte, error) {
	cmd := exec.Command(r.binary.drover, args...)
	cmd.Env = r.Environ()
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("drover %s: %w: %s", args[0], err, exit.Stderr)
	}
	return out, err
}

// forgive writes a ledger of a customer in which the writes that a server has forgotten may be
// gone, and says how many there are. Of a customer who was at home on the other server nothing may
// be gone: all that it had written has arrived there, and what it wrote since is there.
func (p *play) forgive(c lab.Customer) (string, int, error) {
	ledger := p.ledgerOf(c)
	if !p.forgotHome[c.ID] {
		return ledger, 0, nil
	}
	entries, err := load.ReadLedger(ledger)
	if err != nil {
		return "", 0, err
	}
	path, forgiven := ledger+".forgiven", 0
	if err := os.RemoveAll(path); err != nil {
		return "", 0, err
	}
	l, err := load.OpenLedger(path)
	if err != nil {
		return "", 0, err
	}
	for _, e := range entries {
		if e.Acked.After(p.forgotFrom) && e.First.Before(p.forgotTo) {
			e.Acked = time.Time{}
			forgiven++
		}
		err = errors.Join(err, l.Add(e))
	}
	return path, forgiven, errors.Join(err, l.Close())
}
