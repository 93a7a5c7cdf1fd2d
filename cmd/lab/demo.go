package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/load"
	"github.com/drover-migration/drover/migration"
)

func demoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "demo", Short: "Migrate twelve customers under load, break some, and show that nothing was lost", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return demo(cmd.Context()) },
	}
}

// demoLimit is how long a demonstration may take before it is a failure.
const demoLimit = 10 * time.Minute

// demoDir is where a demonstration keeps its lab.
const demoDir = "out/demo"

// loadRate is requests a second over all customers: more than ten thousand writes in a
// demonstration, and two cores left to the rest.
const loadRate = 120

// story is a demonstration under way.
type story struct {
	*lab.Lab
	drover  string
	client  *client.Client
	load    *load.Load
	began   time.Time
	machine *watch

	said     map[string]string // what was last said of a batch or customer
	approved map[string]bool
	victim   string // the customer that falls ill alone
	sick     bool
	wave     string // the batch that falls ill whole
	waveSick bool
	mended   bool
	acks     int // of what waited for somebody
}

func demo(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, demoLimit, fmt.Errorf("it took longer than %s", demoLimit))
	defer cancel()
	began, machine := time.Now(), watchMachine()
	for _, left := range []string{scoreFile, reportFile, evidenceDir} {
		if err := os.RemoveAll(left); err != nil {
			return err // else a run that is cut short would show what the one before left
		}
	}
	l, drover, err := start(ctx, demoDir, lab.DemoShape())
	if err != nil {
		return err
	}
	defer l.Close()
	s := &story{Lab: l, drover: drover, machine: machine, began: began, said: map[string]string{}, approved: map[string]bool{},
		wave: "wave", victim: l.Shape.Batches[1].Customers[1].ID}
	err = s.tellAll(ctx)
	if err == nil || errors.Is(context.Cause(ctx), context.Canceled) {
		return err
	}
	return s.keep(ctx, err)
}

// What a demonstration leaves: its score, and the product's own report of it.
const (
	scoreFile  = "out/demo.json"
	reportFile = "out/demo-report.html"
)

// tellAll tells the story, and judges it.
func (s *story) tellAll(ctx context.Context) (err error) {
	if err := startWorkers(ctx, s.Lab, s.drover); err != nil {
		return err
	}
	board, err := startPage(ctx, s.Lab, s.drover, demoDir)
	if err != nil {
		return err
	}
	fmt.Printf("the board: %s\n    sign in with the token %s\n    or look at one customer: %s\nwhat people are told: %s\n", board.at,
		board.token, board.link, s.Inbox.Page())
	s.say("the application serves %d customers on premises; load begins", len(s.Shape.Customers()))
	if s.load, err = s.StartLoad(ctx, loadRate); err != nil {
		return err
	}
	if s.client, err = s.Client(ctx); err != nil {
		return err
	}
	if err := s.submit(ctx); err != nil {
		return err
	}
	if err := s.follow(ctx); err != nil {
		if b := s.machine.end(time.Since(s.began)); b.tooMuch() && ctx.Err() != nil {
			return b.excuse(err)
		}
		return s.excuse(err)
	}
	return s.score(ctx)
}

// keep keeps what tells why a demonstration failed, and says where.
func (s *story) keep(ctx context.Context, failed error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	dir := filepath.Join("out", "failed-"+s.began.Format("20060102-150405"))
	kept := fmt.Errorf("%w\nlogs of workers and servers, the ledger and the histories of all workflows are kept in %s", failed, dir)
	return errors.Join(kept, s.Keep(ctx, dir))
}

func (s *story) say(format string, args ...any) {
	fmt.Print(broken(fmt.Sprintf("%5.1fs  ", time.Since(s.began).Seconds()), fmt.Sprintf(format, args...)))
}

// broken is a line, broken at spaces where it is wider than the terminal; its first part keeps its
// columns.
func broken(lead, text string) string {
	at := strings.LastIndexByte(text[:min(len(text), max(printer.Width-len(lead), 1))], ' ')
	if len(lead)+len(text) <= printer.Width || at <= 0 {
		return lead + text + "\n"
	}
	return lead + text[:at] + "\n" + printer.Wrap(strings.Repeat(" ", len(lead)+4), text[at:])
}

// excuse adds to an error what the product's workers said last.
func (s *story) excuse(err error) error {
	return fmt.Errorf("%w\n%s", err, s.WorkerLog(30))
}

// run runs the product's command as a person would, and shows it.
func (s *story) run(ctx context.Context, args ...string) error {
	s.say("$ drover %s", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, s.drover, args...)
	cmd.Env = s.Environ()
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(strings.TrimRight(string(out), "\n")) {
		fmt.Println("        | " + strings.TrimRight(line, "\n"))
	}
	if err != nil {
		return fmt.Errorf("drover %s: %w", args[0], err)
	}
	return nil
}

func (s *story) submit(ctx context.Context) error {
	for _, args := range [][]string{{"plan", "validate", s.Plan}, {"inventory", s.Plan}, {"submit", s.Plan, "--by", "lead"}} {
		if err := s.run(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// follow watches the migration, gives the approvals, breaks what is to be broken, and mends it,
// until every batch is through.
func (s *story) follow(ctx context.Context) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the migration did not come through: %w", context.Cause(ctx))
		case <-tick.C:
		}
		st, err := s.look(ctx)
		if errors.Is(err, client.ErrNotFound) || errors.Is(err, client.ErrUnreachable) {
			continue
		}
		if err != nil {
			return err
		}
		s.tell(st)
		switch st.Phase {
		case migration.MigrationFailed:
			return fmt.Errorf("the migration failed: %s", st.Reason)
		case migration.MigrationSoak, migration.MigrationDone:
			return nil
		}
		if err := s.act(ctx, st); err != nil {
			return err
		}
	}
}

// look asks for the migration and for the batches that are under way: every question costs the
// server, and this one watches closely.
func (s *story) look(ctx context.Context) (migration.MigrationStatus, error) {
	st, err := s.client.Migration(ctx, s.Shape.Name)
	if err != nil {
		return st, err
	}
	for i, b := range st.Batches {
		if b.Phase == migration.BatchWaiting || b.Phase == migration.BatchDone && s.said["batch "+b.Name] == string(migration.BatchDone) {
			continue
		}
		if full, err := s.client.Batch(ctx, s.Shape.Name, b.Name); err == nil {
			st.Batches[i] = full
		}
	}
	return st, nil
}

// tell says what has changed.
func (s *story) tell(st migration.MigrationStatus) {
	news := func(key, p, why string) {
		if s.said[key] == p || p == "" {
			return
		}
		s.said[key] = p
		if why != "" {
			why = ": " + why
		}
		s.say("%-18s %s%s", key, p, why)
	}
	news("migration", string(st.Phase), st.Reason)
	for _, p := range append(st.Datasets, st.Workloads...) {
		news(p.Name, string(p.Phase), p.Detail)
	}
	for _, b := range st.Batches {
		why := b.Reason
		if b.Phase == migration.BatchDone {
			why = b.Counts.Summary()
		}
		news("batch "+b.Name, string(b.Phase), why)
		for _, c := range b.Customers {
			if c.Phase != migration.CustomerWaiting {
				news("  "+c.ID, string(c.Phase), c.Reason)
			}
		}
	}
	if st.Paused != (s.said["pause"] == "paused") {
		s.said["pause"] = ""
		if st.Paused {
			s.said["pause"] = "paused"
			s.say("%-18s %s: %s", "migration", "paused", st.Reason)
		}
	}
}

// act plays everybody: approvers, fate, and the operator.
func (s *story) act(ctx context.Context, st migration.MigrationStatus) error {
	for _, b := range st.Batches {
		if b.WaitingFor == migration.WaitApproval && !s.approved[b.Name] {
			s.approved[b.Name] = true
			if err := s.run(ctx, "approve", s.Shape.Name, b.Name, "--by", "head-of-operations", "--reason", "CHG-1042"); err != nil {
				return err
			}
		}
		if err := s.fate(ctx, b); err != nil {
			return err
		}
		if b.Name == s.wave && b.Phase == migration.BatchTakenBack && st.Paused && !s.mended {
			s.mended = true
			if err := s.mend(ctx, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// fate breaks the AWS side of one customer while it bakes, and later that of a whole batch.
func (s *story) fate(ctx context.Context, b migration.BatchStatus) error {
	baking := 0
	for _, c := range b.Customers {
		if c.Phase != migration.CustomerBaking {
			continue
		}
		baking++
		if c.ID == s.victim && !s.sick {
			s.sick = true
			s.say("* the lab breaks %s on AWS: every answer is a 500", c.ID)
			if err := s.breakCustomer(ctx, c.ID); err != nil {
				return err
			}
		}
	}
	if b.Name == s.wave && !s.waveSick && baking == len(b.Customers) && baking > 0 {
		s.waveSick = true
		s.say("* the lab breaks the whole of batch %s on AWS", b.Name)
		for _, c := range b.Customers {
			if err := s.breakCustomer(ctx, c.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *story) host(id string) string {
	for _, c := range s.Shape.Customers() {
		if c.ID == id {
			return c.Host
		}
	}
	return ""
}

func (s *story) breakCustomer(ctx context.Context, id string) error {
	if err := s.Break(ctx, s.host(id), "error500"); err != nil {
		return err
	}
	s.load.FaultStart(id)
	return nil
}

// mend is the operator: repairs the cause, resumes, and retries the batch.
func (s *story) mend(ctx context.Context, b migration.BatchStatus) error {
	s.say("* an operator is told that the migration is paused, and says that they look after it")
	if err := s.lookAfter(ctx); err != nil {
		return err
	}
	s.say("* the operator finds the cause and repairs it")
	for _, c := range b.Customers {
		if err := s.Repair(ctx, s.host(c.ID)); err != nil {
			return err
		}
		s.load.FaultEnd(c.ID)
	}
	if err := s.run(ctx, "retry", s.Shape.Name, "--batch", b.Name, "--by", "operator", "--reason", "cause repaired"); err != nil {
		return err
	}
	return s.run(ctx, "resume", s.Shape.Name, "--by", "operator", "--reason", "cause repaired")
}

// enough lets the load go on until it has written what a demonstration must have written: the
// faster the machine, the sooner the batches are through.
func (s *story) enough(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		n := s.load.Summary().AckedWrites
		if n >= leastWrites {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the load made %d of %d writes: %w", n, leastWrites, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// score stops the load, compares everything with the ledger, and writes the score board.
func (s *story) score(ctx context.Context) error {
	if err := s.enough(ctx); err != nil {
		return s.excuse(err)
	}
	s.say("every batch is through; the load ends and the books are compared")
	sum := s.load.Stop()
	board, err := s.board(ctx, sum)
	if err != nil {
		return s.excuse(err)
	}
	told, err := s.told(ctx)
	if err != nil {
		return s.excuse(err)
	}
	board.people(told, time.Now())
	board.measured(time.Since(s.began), s.machine)
	if err := board.write(scoreFile); err != nil {
		return err
	}
	board.print(os.Stdout)
	if err := s.run(ctx, "report", s.Shape.Name, "--file", reportFile); err != nil {
		return errors.Join(board.judge(), s.excuse(err))
	}
	return board.judge()
}
