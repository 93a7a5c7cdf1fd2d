package main

import (
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

func (a *app) amendCommand() *cobra.Command {
	var (
		w        wish
		output   string
		revision int
		yes, dry bool
		limit    time.Duration
	)
	cmd := &cobra.Command{
		Use:   "amend PLAN.yaml",
		Short: "Change a running plan: what has not begun yet",
		Long: `Compares a plan's file with the revision by which its migration goes on, shows
the difference, asks, and makes the file the next revision. Customers and
batches may be added, customers may go to another batch, and windows, policies
and health may change: of what has not begun. What has, and what no amendment
changes, is refused with the reason, before anything is touched; preflight looks
at the plan as it would be. Who has set out goes on by what held then.

Of two who amend at once one wins: the other is told which revision holds now.
With --revision it is refused unless that is the revision that holds. The same
file once more changes nothing.`,
		Example: `  drover amend plan.yaml --dry-run
  drover amend plan.yaml --revision 3 --yes --reason "CHG-1051"`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := holder(); err != nil {
				return err
			}
			if !yes && !dry && !isTerminal(a.in) {
				return inputError("give --yes, or --dry-run to see the difference alone", "nobody is there to confirm an amendment")
			}
			return a.withPlan(cmd.Context(), args[0], output,
				func(ctx context.Context, c *client.Client, spec *migration.Spec, format printer.Format) error {
					look, cancel := context.WithTimeout(ctx, limit)
					defer cancel()
					report, err := c.Amendment(look, spec)
					if err != nil {
						return err
					}
					if revision != 0 && revision != report.Base.Revision {
						return &client.Problem{Kind: client.ErrRefused, Doing: "amend plan " + spec.Plan,
							Why: fmt.Sprintf("its revision is %d, and not %d", report.Base.Revision, revision),
							Next: "look at the difference to it with --dry-run, and give --revision " +
								fmt.Sprint(report.Base.Revision)}
					}
					if err := a.showAmendment(format, report); err != nil {
						return err
					}
					if blocked := migration.Blockers(report.Findings); len(blocked) > 0 {
						return &client.Problem{Kind: client.ErrRefused, Doing: "amend plan " + spec.Plan,
							Why:  count(len(blocked), "thing") + " in the way: " + blocked[0].Subject + ": " + blocked[0].Reason,
							Next: blocked[0].Remedy}
					}
					if dry || report.Difference.Empty() {
						return nil
					}
					question := fmt.Sprintf("make this revision %d of plan %s?", report.Base.Revision+1, spec.Plan)
					if err := a.confirm(ctx, question, yes); err != nil {
						return err
					}
					wish := w.command()
					wish.Amend = &report.Spec
					wish.Amend.Revision = report.Base.Revision
					short, cancel := a.patience(ctx)
					defer cancel()
					got, err := c.Amend(short, spec.Plan, wish)
					if err != nil {
						return err
					}
					_, err = io.WriteString(a.err, printer.Plain("plan "+spec.Plan+": "+got.Message)+"\n")
					return err
				})
		},
	}
	w.flags(cmd)
	f := cmd.Flags()
	f.IntVar(&revision, "revision", 0, "the revision that the file was made from: refused if another holds (default the one shown)")
	f.BoolVar(&dry, "dry-run", false, "show the difference and what stands in its way, and change nothing")
	f.DurationVar(&limit, "within", 2*time.Minute, "how long the workers may take to look")
	yesFlag(cmd, &yes)
	outputFlag(cmd, &output)
	return cmd
}

// showAmendment prints what an amendment changes, and what stands in its way.
func (a *app) showAmendment(format printer.Format, r migration.AmendmentReport) error {
	if format == printer.AsJSON || format == printer.AsYAML {
		return printer.Print(a.out, format, r, nil)
	}
	t := &printer.Table{Columns: []printer.Column{{Name: "WHAT"}, {Name: "CHANGE"}, {Name: "FROM"}, {Name: "TO"}}}
	for _, l := range differenceLines(r.Difference) {
		t.Add(l.what, l.change, l.from, l.to)
	}
	if format == printer.AsCSV {
		return printer.Print(a.out, format, r, t)
	}
	head := fmt.Sprintf("plan %s, against revision %d (digest %.12s):\n", r.Base.Plan, r.Base.Revision, r.Base.Digest)
	if r.Difference.Empty() && len(r.Findings) == 0 {
		head = fmt.Sprintf("plan %s: nothing to change, revision %d has this content\n", r.Base.Plan, r.Base.Revision)
	}
	if _, err := io.WriteString(a.out, head); err != nil {
		return err
	}
	if !r.Difference.Empty() {
		if err := printer.Print(a.out, format, r, t); err != nil {
			return err
		}
	}
	for _, f := range r.Findings {
		said := printer.Wrap("  ", fmt.Sprintf("%s: %s: %s. %s", f.Severity, f.Subject, f.Reason, f.Remedy))
		if _, err := io.WriteString(a.out, said); err != nil {
			return err
		}
	}
	return nil
}

// differenceLine is one row of a difference.
type differenceLine struct{ what, change, from, to string }

func differenceLines(d migration.Difference) (out []differenceLine) {
	add := func(what, change, from, to string) { out = append(out, differenceLine{what, change, from, to}) }
	for _, b := range d.Batches {
		what := "batch " + b.Name
		switch {
		case b.Added:
			add(what, "added", "", "")
		case b.Removed:
			add(what, "removed", "", "")
		}
		for _, c := range b.Changes {
			add(what, c.Place, c.From, c.To)
		}
	}
	if len(d.Order) > 0 {
		add("batches", "order", "", strings.Join(d.Order, ", "))
	}
	for _, c := range d.Customers {
		what := "customer " + c.ID
		switch {
		case c.Added:
			add(what, "added", "", c.To)
		case c.Removed:
			add(what, "removed", c.From, "")
		case c.From != c.To:
			add(what, "batch", c.From, c.To)
		}
		for _, x := range c.Changes {
			add(what, x.Place, x.From, x.To)
		}
	}
	for _, c := range d.Rest {
		add("plan", c.Place, c.From, c.To)
	}
	return out
}
