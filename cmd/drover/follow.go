package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/board"
)

// outage is how long a watch goes on asking while nobody answers: workers are restarted, servers
// too.
const outage = time.Minute

type watchOptions struct {
	every time.Duration
}

func (o *watchOptions) flags(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&o.every, "every", time.Second, "how often to look, with --wait and --watch")
}

func (o *watchOptions) check() error {
	if o.every <= 0 {
		return inputError("give a time such as 2s", "--every %s is not a positive time", o.every)
	}
	return nil
}

// watch follows a plan to its end. The error it returns carries the exit code.
func (a *app) watch(ctx context.Context, c *client.Client, plan string, o watchOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	w := &watcher{plan: plan, client: c, patience: a.timeout, seen: map[string]migration.BatchStatus{}, show: a.display(plan)}
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	heard := time.Now()
	for {
		s, execution, err := w.fetch(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			heard = time.Now()
			w.show(s, heard)
			if over(s.Phase) || execution != client.Running {
				return a.finish(plan, s, execution)
			}
		case !errors.Is(err, client.ErrUnreachable) || time.Since(heard) > outage:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// over says whether a plan in this phase goes on by itself. In the soak every batch is through;
// customers can still go back.
func over(p migration.MigrationPhase) bool {
	switch p {
	case migration.MigrationSoak, migration.MigrationFinalising, migration.MigrationDone,
		migration.MigrationFailed, migration.MigrationAborted:
		return true
	default:
		return false
	}
}

// finish says how it ended, in words and as the exit code.
func (a *app) finish(plan string, s migration.MigrationStatus, execution string) error {
	switch {
	case s.Phase == migration.MigrationFailed:
		return &client.Problem{Doing: "plan " + plan, Why: "the migration failed: " + s.Reason, Next: "remove the cause, then submit " +
			"the plan again"}
	case s.Phase == migration.MigrationAborted:
		_, err := fmt.Fprintf(a.out, "plan %s was aborted\n", plan)
		return errors.Join(ended{exitAborted}, err)
	case !over(s.Phase):
		return &client.Problem{Doing: "plan " + plan, Why: fmt.Sprintf("its workflow has ended (%s) before the plan did", execution),
			Next: "submit the plan again to go on; customers keep the home they have"}
	}
	code, n := outcome(s)
	_, err := fmt.Fprintf(a.out, "plan %s: every batch is through: %s\n", plan, n.Summary())
	if err != nil || code == exitDone {
		return err
	}
	return ended{code}
}

// outcome is the exit code of a plan that is over: what waits for a human comes first.
func outcome(s migration.MigrationStatus) (int, migration.Counts) {
	var n migration.Counts
	for _, b := range s.Batches {
		n.OnAWS += b.Counts.OnAWS
		n.Baking += b.Counts.Baking
		n.RolledBack += b.Counts.RolledBack
		n.Held += b.Counts.Held
		n.Skipped += b.Counts.Skipped
	}
	switch {
	case n.Held > 0:
		return exitHeld, n
	case n.RolledBack > 0:
		return exitRolledBack, n
	default:
		return exitDone, n
	}
}

// watcher keeps what it has read, so that a plan of thousands of customers is not read anew every
// second.
type watcher struct {
	plan     string
	client   *client.Client
	patience time.Duration
	seen     map[string]migration.BatchStatus // summary of each batch when its customers were read last
	full     map[string]migration.BatchStatus
	show     func(migration.MigrationStatus, time.Time)
}

// fetch reads the plan, and the customers of those batches that move or have changed.
func (w *watcher) fetch(ctx context.Context) (migration.MigrationStatus, string, error) {
	ctx, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	execution, err := w.client.Execution(ctx, client.Aim{Plan: w.plan}) // before the status: one that has ended does not change any more
	if err != nil {
		return migration.MigrationStatus{}, "", err
	}
	s, err := w.client.Migration(ctx, w.plan)
	if err != nil {
		return s, execution, err
	}
	for i, b := range s.Batches {
		old, ok := w.full[b.Name]
		if busy := b.Counts.Moving+b.Counts.Baking > 0 || b.Phase == migration.BatchCuttingOver ||
			b.Phase == migration.BatchTakingBack; ok && !busy && reflect.DeepEqual(w.seen[b.Name], b) {
			s.Batches[i] = old
			continue
		}
		full, err := w.client.Batch(ctx, w.plan, b.Name)
		if errors.Is(err, client.ErrNotFound) {
			continue // not started yet
		}
		if err != nil {
			return s, execution, err
		}
		if w.full == nil {
			w.full = map[string]migration.BatchStatus{}
		}
		w.seen[b.Name], w.full[b.Name], s.Batches[i] = b, full, full
	}
	return s, execution, nil
}

// display chooses how a person or a log sees the changes.
func (a *app) display(plan string) func(migration.MigrationStatus, time.Time) {
	if f, ok := a.out.(*os.File); ok && isTerminal(f) {
		first, g := true, a.glance(plan)
		return func(s migration.MigrationStatus, now time.Time) {
			_, height, err := term.GetSize(int(f.Fd()))
			if err != nil {
				height = 24
			}
			redraw(a.out, g.at(now).screen(s, height), first)
			first = false
		}
	}
	l := &lines{out: a.out, plan: plan, last: map[string]string{}}
	return l.print
}

// redraw writes a screen over the one before, line by line: clearing it first would flicker.
func redraw(w io.Writer, s string, first bool) {
	var b strings.Builder
	if first {
		b.WriteString("\x1b[2J")
	}
	b.WriteString("\x1b[H")
	for l := range strings.Lines(s) {
		b.WriteString(strings.TrimSuffix(l, "\n") + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	_, _ = io.WriteString(w, b.String()) // a terminal that is gone ends the command by a signal
}

// screen is a plan in at most height lines: of its customers those that are on their way or need
// somebody.
func (g glance) screen(s migration.MigrationStatus, height int) string {
	out := g.head(s) + "\n" + batchTable(s.Batches, true).String()
	if s.Phase == migration.MigrationProvisioning {
		out += "\n" + pieceTable(s).String()
	}
	var shown []migration.CustomerStatus
	for _, c := range customersOf(s) {
		switch c.Phase {
		case migration.CustomerWaiting, migration.CustomerSoaking, migration.CustomerFinished:
		default:
			shown = append(shown, c)
		}
	}
	if len(shown) == 0 {
		return out
	}
	if whole := out + g.customerList(shown, true); strings.Count(whole, "\n") < height {
		return whole
	}
	room := max(1, height-strings.Count(out, "\n")-4) // an empty line, the head, a line for the rest, the cursor
	rest := ""
	if hidden := len(shown) - room; hidden > 0 {
		shown, rest = shown[:room], fmt.Sprintf("and %d more: drover status %s\n", hidden, g.plan)
	}
	return out + "\n" + g.customerTable(shown, true).String() + rest
}

// lines prints a line for every change.
type lines struct {
	out  io.Writer
	plan string
	last map[string]string
}

func (l *lines) print(s migration.MigrationStatus, now time.Time) {
	paused := ""
	if s.Paused {
		paused = ", paused"
	}
	l.line(now, "plan "+l.plan, string(s.Phase)+paused+waits(s.WaitingFor), board.Why(s))
	for _, p := range s.Datasets {
		l.line(now, "dataset "+p.Name, string(p.Phase), p.Detail)
	}
	for _, p := range s.Workloads {
		l.line(now, "workload "+p.Name, string(p.Phase), p.Detail)
	}
	for _, b := range s.Batches {
		why := b.Reason
		if b.Phase == migration.BatchDone {
			why = strings.TrimSuffix(b.Counts.Summary()+"; "+why, "; ")
		}
		l.line(now, "batch "+b.Name, string(b.Phase)+waits(b.WaitingFor), why)
		for _, c := range b.Customers {
			l.line(now, "customer "+c.ID, fmt.Sprintf("%s, homed on %s%s", c.Phase, c.Home, waits(c.WaitingFor)), c.Reason)
		}
	}
}

// line prints a subject's state if it is another than the last. A new reason alone is no change: it
// may count seconds.
func (l *lines) line(now time.Time, subject, state, reason string) {
	if l.last[subject] == state {
		return
	}
	l.last[subject] = state
	if reason != "" {
		state += ": " + strings.Join(strings.Fields(reason), " ")
	}
	_, _ = fmt.Fprintf(l.out, "%s %s\n", now.Local().Format(time.RFC3339), printer.Plain(subject+": "+state))
}
