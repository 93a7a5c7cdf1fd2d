package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
)

func (a *app) observeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "observe", Short: "Who writes a plan's databases, before they are replicated", Args: asInput(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.observeReportCommand(), a.observeResolveCommand())
	return cmd
}

func (a *app) observeReportCommand() *cobra.Command {
	var output string
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "report PLAN",
		Short: "List the writers that would be refused once customers have moved",
		Long: `Reads what was noted on premises since the observation began: jobs that write
for many customers at once, writers that are no machine whose requests the plan
routes, rows without a customer, TRUNCATEs, and changes of the schema. Nobody
was refused meanwhile. No value of the databases is in it: a statement is shown
by its shape.

Changes nothing. Exits with 8 while more findings are unresolved than the first
batch of the plan may have. docs/observe.md says what to do about each kind.`,
		Example: `  drover observe report orders
  drover observe report orders -o json`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := parseOutput(output)
			if err != nil {
				return err
			}
			return a.connected(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				ctx, cancel := context.WithTimeout(ctx, within)
				defer cancel()
				spec, err := c.Spec(ctx, args[0])
				if err != nil {
					return err
				}
				report, err := c.Observation(ctx, spec)
				if err != nil {
					return err
				}
				return a.printObservation(format, args[0], report)
			})
		},
	}
	cmd.Flags().DurationVar(&within, "within", 3*time.Minute, "how long the sites may take to answer")
	outputFlag(cmd, &output)
	return cmd
}

func (a *app) observeResolveCommand() *cobra.Command {
	var w wish
	cmd := &cobra.Command{
		Use:   "resolve PLAN ID --reason WHY",
		Short: "Say that a writer may be as it is",
		Long: `Says of a finding, by the id that the report shows, that it is settled, and why:
the job asks drover.is_home, it stops before the first batch, the address is a
pooler of a machine that the plan routes. It is kept with the finding, by whose
word it is. Of two words on one finding the first holds.`,
		Example: `  drover observe resolve orders 3fa9c1d2 --reason "moves with week-49, CHG-1042"`,
		Args:    asInput(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if w.reason == "" {
				return inputError("say why with --reason: it is kept with the finding", "resolving a finding needs a reason")
			}
			return a.send(cmd.Context(), "plan "+args[0], func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				wish := w.command()
				wish.Finding = args[1]
				return c.Resolve(ctx, args[0], wish)
			})
		},
	}
	w.flags(cmd)
	return cmd
}

// observedWords says of a kind of finding what it is, and what may be done about it.
var observedWords = map[migration.ObservedKind]struct{ is, remedy string }{
	migration.ObservedMany: {"writes for many customers at once", "once one of them has moved, all of the statement or transaction is " +
		"refused: have it ask drover.is_home(customer), and run it on both sides, or stop it before the first batch"},
	migration.ObservedUnrouted: {"no machine that the plan routes", "it goes on writing on premises when its customers have moved, and " +
		"is refused: move it with them, or name it to the plan as a workload's machine"},
	migration.ObservedNobody: {"rows without a customer", "they are refused as soon as replication is set up: give them a customer, or " +
		"the table another place in datasets.NAME.postgres.tables"},
	migration.ObservedTruncate: {"empties whole tables", "it is refused as soon as replication is set up: DELETE the rows of each " +
		"customer instead"},
	migration.ObservedDDL: {"changes the schema", "from then on give it to both sides with `drover schema apply`"},
	migration.ObservedMissed: {"notes that were left out", "some writers may not be in this list: there was no room for them, a column " +
		"was renamed, or the server crashed. Stop or resolve what is noted most, let the time run once more, and resolve this when no " +
		"more are missed"},
}

func (a *app) printObservation(format printer.Format, plan string, report migration.ObservationReport) error {
	if err := printer.Print(a.out, format, report, observationTable(report, format == printer.AsCSV)); err != nil {
		return err
	}
	if format == printer.AsTable {
		if err := writeObservation(a.out, plan, report); err != nil {
			return err
		}
	}
	unresolved, unread := 0, len(report.Unseen) > 0
	for _, d := range report.Datasets {
		unresolved += d.Unresolved()
		unread = unread || d.Error != ""
	}
	if unread || report.Requires != nil && unresolved > report.Requires.Unresolved {
		return ended{exitBlocked}
	}
	return nil
}

func observationTable(report migration.ObservationReport, whole bool) *printer.Table {
	t := &printer.Table{Columns: []printer.Column{{Name: "ID"}, {Name: "FOUND"}, {Name: "WHO", Give: true, Least: 12},
		{Name: "WRITES", Give: true, Least: 12}, {Name: "CUSTOMERS", Right: true}, {Name: "NOTED", Right: true},
		{Name: "STATE", Give: true, Least: 10}}}
	if whole {
		t.Columns = []printer.Column{{Name: "dataset"}, {Name: "id"}, {Name: "found"}, {Name: "role"}, {Name: "application"},
			{Name: "client"}, {Name: "operation"}, {Name: "table"}, {Name: "statement"}, {Name: "customers"}, {Name: "noted"},
			{Name: "first"}, {Name: "last"}, {Name: "resolved_by"}, {Name: "resolved_why"}}
	}
	for _, d := range report.Datasets {
		for _, f := range d.Findings {
			var r migration.Event
			state := "unresolved"
			if f.Resolved != nil {
				r = *f.Resolved
				state = "resolved: " + r.By
			}
			if whole {
				t.Add(d.Dataset, f.ID, f.Kind, f.Role, f.Application, f.Client, f.Operation, f.Table, f.Statement, f.Customers, f.Noted,
					f.First.UTC().Format(time.RFC3339), f.Last.UTC().Format(time.RFC3339), r.By, r.Why)
				continue
			}
			t.Add(f.ID, f.Kind, writerCell(f), strings.TrimSpace(f.Operation+" "+f.Table), customersCell(f), f.Noted, state)
		}
	}
	return t
}

// writerCell says who it is.
func writerCell(f migration.Observed) string {
	who := cmp.Or(f.Application, "(no name)") + " as " + f.Role
	if f.Role == "" {
		return "-"
	}
	if f.Kind == migration.ObservedUnrouted {
		who += " from " + f.Client
	}
	return who
}

func customersCell(f migration.Observed) string {
	switch {
	case f.Customers == 0:
		return "-"
	case f.Customers >= 1000:
		return "1000 or more"
	}
	return fmt.Sprint(f.Customers)
}

// writeObservation prints below the table where each observation stands, the statements in full,
// and what may be done.
func writeObservation(w io.Writer, plan string, report migration.ObservationReport) error {
	var b strings.Builder
	kinds := map[migration.ObservedKind]int{}
	for _, d := range report.Datasets {
		b.WriteString("\n" + printer.Wrap("", observationHead(d)))
		for _, f := range d.Findings {
			if f.Resolved == nil {
				kinds[f.Kind]++
			}
			if f.Statement != "" {
				b.WriteString(printer.Wrap("  ", f.ID+": "+f.Statement))
			}
			if f.Resolved != nil {
				b.WriteString(printer.Wrap("  ", fmt.Sprintf("%s: resolved by %s, %s: %s", f.ID, f.Resolved.By,
					f.Resolved.At.UTC().Format(migration.TimeLayout), f.Resolved.Why)))
			}
		}
	}
	for _, k := range migration.ObservedKinds {
		if kinds[k] > 0 {
			fmt.Fprintf(&b, "\n%s: %s\n%s", k, observedWords[k].is, printer.Wrap("  ", observedWords[k].remedy))
		}
	}
	for _, u := range report.Unseen {
		b.WriteString("\nnot seen\n" + printer.Wrap("  ", u))
	}
	switch n := len(kinds); {
	case report.Requires == nil:
		b.WriteString("\n" + printer.Wrap("", "no batch of the plan requires it: see batches[].requires.observe"))
	case n > 0:
		b.WriteString("\n" + printer.Wrap("", fmt.Sprintf("the first batch may have %d of these unresolved, after %s; when one is "+
			"settled: drover observe resolve %s ID --reason \"...\"", report.Requires.Unresolved, report.Requires.For.Brief(), plan)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func observationHead(d migration.Observation) string {
	switch {
	case d.Error != "":
		return "dataset " + d.Dataset + " could not be read: " + d.Error
	case d.Since.IsZero():
		return "dataset " + d.Dataset + " is not observed"
	}
	head := fmt.Sprintf("dataset %s has been observed since %s, for %s", d.Dataset, d.Since.UTC().Format(migration.TimeLayout),
		printer.Duration(d.Age.D()))
	if !d.Ended.IsZero() {
		head = fmt.Sprintf("dataset %s was observed from %s to %s", d.Dataset, d.Since.UTC().Format(migration.TimeLayout),
			d.Ended.UTC().Format(migration.TimeLayout))
	}
	head += fmt.Sprintf(": %s, %d unresolved", count(len(d.Findings), "finding"), d.Unresolved())
	if !d.NamesDDL && d.Ended.IsZero() {
		head += ". Its role may make no event trigger: of a change of the schema it is known which table, and not who made it"
	}
	return head
}
