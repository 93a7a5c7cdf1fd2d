package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/prices"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
)

func (a *app) previewCommand() *cobra.Command {
	var (
		output, figures string
		within          time.Duration
		rate            int64
		here            bool
	)
	cmd := &cobra.Command{
		Use:   "preview PLAN.yaml",
		Short: "Show what a plan would do, in order, and what stands in its way",
		Long: `Makes the checks and computations that the migration would make, and prints what
it would do to what, in its order: what exists already, and what will be made.
Then the predicted freeze of each customer, by its rows as they are read on
premises now (what replication lags behind comes on top), the size of each disk
and database, and what preflight finds. Changes nothing and stores nothing; a
check that would try something on a server is left out, and named. Exits with 8
if anything blocks.`,
		Example: `  drover preview plan.yaml
  drover preview plan.yaml --rate 40 -o json`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if rate < 0 {
				return inputError("give MiB a second, such as 40", "--rate %d is negative", rate)
			}
			costs, err := prices.Read(figures)
			if err != nil {
				return &badInput{err: err, next: "see docs/runbook.md, what a plan costs"}
			}
			return a.withPlan(cmd.Context(), args[0], output,
				func(ctx context.Context, c *client.Client, spec *migration.Spec, format printer.Format) error {
					ctx, cancel := context.WithTimeout(ctx, within)
					defer cancel()
					ask := func(ctx context.Context, queue string) error {
						if queue == "" {
							patience := time.AfterFunc(inventoryPatience, func() { a.tellWhyItWaits(ctx, c, spec, within) })
							defer patience.Stop()
						}
						report, err := c.Preview(ctx, spec, queue)
						if err != nil {
							return err
						}
						priceSizings(costs, spec, report.Sizings)
						return a.printPreview(format, report, rate, costs)
					}
					if here {
						return a.here(ctx, spec, ask)
					}
					return ask(ctx, "")
				})
		},
	}
	f := cmd.Flags()
	f.DurationVar(&within, "within", 10*time.Minute, "how long the sites may take to answer")
	f.Int64Var(&rate, "rate", 0, "MiB a second that you have measured from the site to AWS: says how long the copies take")
	pricesFlag(cmd, &figures)
	f.BoolVar(&here, "here", false, "do the work in this process: no worker needs to run")
	outputFlag(cmd, &output)
	return cmd
}

func (a *app) printPreview(format printer.Format, report migration.PreviewReport, rate int64, costs *prices.Prices) error {
	t := &printer.Table{Columns: []printer.Column{{Name: "#", Right: true}, {Name: "DO", Give: true, Least: 20},
		{Name: "TO", Give: true, Least: 12}, {Name: "STATE"}, {Name: "FOUND", Give: true, Least: 6}}}
	for i, s := range report.Steps {
		t.Add(i+1, s.Do, s.To, s.State, s.Found)
	}
	if err := printer.Print(a.out, format, dataOfPreview(report), t); err != nil {
		return err
	}
	if format == printer.AsTable {
		if err := writePreview(a.out, report, rate, costs); err != nil {
			return err
		}
	}
	if len(migration.Blockers(report.Findings)) > 0 || len(report.Unseen) > 0 {
		return ended{exitBlocked}
	}
	return nil
}

// writePreview prints below the steps what they carry, whom they close, and what stands in the way.
func writePreview(w io.Writer, report migration.PreviewReport, rate int64, costs *prices.Prices) error {
	var b strings.Builder
	if len(report.Sizes) > 0 {
		t := &printer.Table{Columns: []printer.Column{{Name: "COPY OF", Give: true, Least: 12}, {Name: "SIZE", Right: true},
			{Name: "TAKES", Right: true}}}
		for _, s := range report.Sizes {
			t.Add(s.What, printer.Bytes(s.Bytes), copyTime(s.Bytes, rate))
		}
		b.WriteString("\n" + t.String())
	}
	if err := writeSizings(&b, report.Sizings, costs); err != nil {
		return err
	}
	if len(report.Customers) > 0 {
		t := &printer.Table{Columns: []printer.Column{{Name: "BATCH"}, {Name: "CUSTOMER"}, {Name: "ROWS", Right: true},
			{Name: "FREEZE", Right: true}, {Name: "A WRITE"}}}
		for _, c := range report.Customers {
			t.Add(c.Batch, c.ID, c.Rows, freezeCell(c), stallCell(c))
		}
		b.WriteString("\n" + t.String())
	}
	for _, f := range report.Findings {
		fmt.Fprintf(&b, "\n%s %s: %s\n", f.Severity, f.Check, f.Subject)
		b.WriteString(printer.Wrap("  ", f.Reason))
		b.WriteString(printer.Wrap("  ", "remedy: "+f.Remedy))
	}
	for _, u := range report.Unseen {
		b.WriteString("\nnot seen\n" + printer.Wrap("  ", u))
	}
	for _, l := range report.LeftOut {
		b.WriteString("\nleft out\n" + printer.Wrap("  ", l))
	}
	blockers := len(migration.Blockers(report.Findings))
	fmt.Fprintf(&b, "\n%s, %s; nothing was changed\n", count(blockers, "blocker"), count(len(report.Findings)-blockers, "warning"))
	_, err := io.WriteString(w, b.String())
	return err
}

// copyTime is how long a copy takes at a rate in MiB a second; without one nobody knows.
func copyTime(bytes, rate int64) string {
	if rate == 0 {
		return "unknown"
	}
	return printer.Seconds(float64(bytes) / float64(rate<<20))
}

func freezeCell(c migration.PreviewCustomer) string {
	switch {
	case c.Why != "":
		return "unknown"
	case c.Over:
		return printer.Duration(c.Freeze.D()) + ", over its budget"
	}
	return printer.Duration(c.Freeze.D())
}

func stallCell(c migration.PreviewCustomer) string {
	switch {
	case c.Why != "":
		return c.Why
	case c.Refused:
		return "is refused meanwhile" + lateCell(c)
	}
	return "waits up to " + printer.Duration(c.Stall.D()) + lateCell(c)
}

// lateCell says how long who asks an old name meets the closed side.
func lateCell(c migration.PreviewCustomer) string {
	if c.Late == 0 {
		return ""
	}
	return ", and by an old name is refused for up to " + printer.Duration(c.Late.D()) + " more"
}
