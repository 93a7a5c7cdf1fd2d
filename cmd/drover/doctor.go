package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/prices"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
)

func (a *app) doctorCommand() *cobra.Command {
	var (
		w                              wish
		output, agree, server, figures string
		confirmed                      string
		lose, carry                    []string
		yes, here, repair              bool
		limit                          time.Duration
	)
	cmd := &cobra.Command{
		Use:   "doctor PLAN.yaml",
		Short: "Show what the systems themselves say of a plan, and mend it",
		Long: `Reads both sides of every database of the plan, its routes, and everything that
Drover has made: which servers stand there, which customers are not open on
exactly one side, what else breaks a rule, what is merely left over, and what
each thing costs in 30 days. It asks the systems and not the workflows, so it
works when none is alive; with --here this process does the work, and no worker
needs to run. Exits with 8 if anything is broken.

With --repair it shows what it found, asks, and then mends it by the same
functions as a migration: Moves that were left between their steps are settled,
a side that forgot that its customer had left is closed, publications follow the
fences and routes the data again, and what is left over goes.

A server that was failed over, restored or replaced may have forgotten that a
customer was closed there. Until somebody has looked, Drover moves nobody and
changes no route because of it. After that look, say so by name:

  drover doctor plan.yaml --agree orders/onprem --server 7391/2 \
      --reason "the standby had replayed everything"

Rows that were written on one side while the other was their customer's home are
named. With --carry-over those that the home never had are brought there, as far
as the servers prove that it never had them; rows that both sides have, and not
alike, are shown and left as they are.

A side that is gone for good answers nobody. With --accept-loss a customer goes
on at the side that is left, without what the other had not sent. It is refused
while anybody still reaches the other side. Both ask for the customers' names
once more on a terminal; a script gives them with --confirm.`,
		Example: `  drover doctor plan.yaml
  drover doctor plan.yaml --here --repair --reason "all workers were lost"
  drover doctor plan.yaml --carry-over acme --reason CHG-2051
  drover doctor plan.yaml --accept-loss acme,birch --reason "the site is gone"`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			say, err := agreement(agree, server, w)
			if err != nil {
				return err
			}
			if repair && w.reason == "" {
				return inputError("say why with --reason", "a repair needs a reason")
			}
			order, err := a.ordered(lose, carry, confirmed, repair || say != nil, w)
			if err != nil {
				return err
			}
			if say != nil {
				question := fmt.Sprintf("believe the database server of %s on side %s (%s) from now on?", say.Dataset, say.Side, say.Seen)
				if err := a.confirm(cmd.Context(), question, yes); err != nil {
					return err
				}
			}
			costs, err := prices.Read(figures)
			if err != nil {
				return &badInput{err: err, next: "see docs/runbook.md, what a plan costs"}
			}
			return a.withPlan(cmd.Context(), args[0], output,
				func(ctx context.Context, c *client.Client, spec *migration.Spec, format printer.Format) error {
					ctx, cancel := context.WithTimeout(ctx, limit)
					defer cancel()
					ask := func(ctx context.Context, queue string) error {
						in := migration.DoctorInput{Spec: spec, Agree: say}
						report, err := c.Doctor(ctx, in, queue)
						if err != nil {
							return err
						}
						price(costs, spec, report.Things)
						if order != nil {
							if report, err = a.carriedOut(ctx, c, args[0], spec, report, *order, queue); err != nil {
								return err
							}
							price(costs, spec, report.Things)
						}
						if repair {
							if report, err = a.repaired(ctx, c, args[0], spec, report, w, yes, queue); err != nil {
								return err
							}
							price(costs, spec, report.Things)
						}
						return a.printDoctor(format, args[0], report, costs)
					}
					if here {
						return a.here(ctx, spec, ask)
					}
					return ask(ctx, "")
				})
		},
	}
	f := cmd.Flags()
	f.StringVar(&agree, "agree", "", "believe the server that stands there now: DATASET/onprem or DATASET/aws")
	f.StringVar(&server, "server", "", "the server that you looked at, as doctor showed it: SYSTEM/TIMELINE")
	f.DurationVar(&limit, "within", 5*time.Minute, "how long the sites may take to answer")
	pricesFlag(cmd, &figures)
	f.BoolVar(&here, "here", false, "do the work in this process: no worker needs to run")
	f.BoolVar(&repair, "repair", false, "mend what is broken, and take away what is left over")
	f.StringSliceVar(&lose, "accept-loss", nil, "customers that go on without a side that is gone for good")
	f.StringSliceVar(&carry, "carry-over", nil, "customers whose rows that one side alone has are brought home")
	f.StringVar(&confirmed, "confirm", "", "the customers' names once more, instead of the question")
	f.BoolVar(&yes, "yes", false, "do not ask")
	w.flags(cmd)
	outputFlag(cmd, &output)
	return cmd
}

// order is a command for doctor about some customers.
type order struct {
	name, doing, confirmed string
	cmd                    migration.Command
}

// ordered reads the flags of --accept-loss and --carry-over; nil where none is given.
func (a *app) ordered(lose, carry []string, confirmed string, more bool, w wish) (*order, error) {
	o := order{name: migration.UpdateAcceptLoss, doing: "let %s go on without what a lost side had not sent", confirmed: confirmed}
	if len(carry) > 0 {
		o.name, o.doing = migration.UpdateCarryOver, "bring the rows of %s home that one side alone has"
	}
	customers := slices.Concat(lose, carry)
	switch {
	case len(customers) == 0:
		return nil, nil
	case len(lose) > 0 && len(carry) > 0 || more:
		return nil, inputError(
			"give one of --agree, --repair, --accept-loss and --carry-over at a time",
			"these are asked for one after the other",
		)
	case w.reason == "":
		return nil, inputError("say why with --reason: it is kept in the customer's data", "--%s needs a reason", o.name)
	case confirmed == "" && !isTerminal(a.in):
		return nil, inputError("give --confirm "+strings.Join(customers, ","), "nobody is there to confirm --%s", o.name)
	}
	if _, err := holder(); err != nil {
		return nil, err
	}
	o.cmd = w.command()
	o.cmd.Customers = customers
	return &o, nil
}

// carriedOut shows what was found, asks for the customers' names, and has the command carried out.
func (a *app) carriedOut(ctx context.Context, c *client.Client, plan string, spec *migration.Spec, report migration.DoctorReport, o order,
	queue string) (migration.DoctorReport, error) {
	for _, id := range o.cmd.Customers {
		if _, ok := spec.Customer(id); !ok {
			return report, inputError("see the plan's customers", "the plan has no customer %q", id)
		}
	}
	if err := writeDoctor(a.err, plan, report, ""); err != nil {
		return report, err
	}
	names := strings.Join(o.cmd.Customers, ",")
	if err := a.confirmByName(ctx, fmt.Sprintf(o.doing, names), names, o.confirmed); err != nil {
		return report, err
	}
	return c.DoctorCommand(ctx, migration.DoctorInput{Spec: spec}, queue, o.name, o.cmd)
}

// price writes into each thing what it costs. Things in AWS say their target, and the bucket lies
// in that of the state.
func price(costs *prices.Prices, spec *migration.Spec, things []migration.Thing) {
	for i, t := range things {
		name, in := strings.CutPrefix(t.Where, "target ")
		if !in {
			name = spec.State.Target
		}
		target, _ := spec.Target(name)
		things[i].Monthly = costs.Of(t, target.Region)
	}
}

// repaired shows what was found, asks, and has it mended. Where there is nothing to mend the report
// stays.
func (a *app) repaired(ctx context.Context, c *client.Client, plan string, spec *migration.Spec, report migration.DoctorReport, w wish,
	yes bool, queue string) (migration.DoctorReport, error) {
	if report.Broken() == 0 && len(report.Left()) == 0 {
		return report, nil
	}
	if err := writeDoctor(a.err, plan, report, ""); err != nil {
		return report, err
	}
	question := fmt.Sprintf("mend %s, and take away %s?", count(report.Broken(), "broken thing"),
		count(len(report.Left()), "left-over thing"))
	if err := a.confirm(ctx, question, yes); err != nil {
		return report, err
	}
	return c.Doctor(ctx, migration.DoctorInput{Spec: spec, Repair: &migration.Repair{By: who(w.by), Reason: w.reason}}, queue)
}

// agreement reads the flags of --agree; nil where it is not given.
func agreement(agree, server string, w wish) (*migration.AgreeToServer, error) {
	if agree == "" && server == "" {
		return nil, nil
	}
	const next = "see `drover doctor --help`"
	dataset, side, ok := strings.Cut(agree, "/")
	if !ok || dataset == "" || !migration.Side(side).Valid() {
		return nil, inputError(next, "--agree %q is not DATASET/onprem or DATASET/aws", agree)
	}
	system, timeline, ok := strings.Cut(server, "/")
	n, err := strconv.Atoi(timeline)
	if !ok || system == "" || err != nil {
		return nil, inputError(next, "--server %q is not SYSTEM/TIMELINE, as drover doctor shows the server", server)
	}
	if w.reason == "" {
		return nil, inputError(next, "--agree needs a --reason: it is kept in both databases")
	}
	return &migration.AgreeToServer{
		Dataset: dataset, Side: migration.Side(side), Seen: migration.ServerIdentity{SystemID: system, Timeline: n}, By: who(w.by),
		Reason: w.reason,
	}, nil
}

func (a *app) printDoctor(format printer.Format, plan string, report migration.DoctorReport, costs *prices.Prices) error {
	t := &printer.Table{Columns: []printer.Column{{Name: "DATASET"}, {Name: "SIDE"}, {Name: "SERVER"}, {Name: "KNOWN AS"},
		{Name: "AGREED BY", Give: true, Least: 4}, {Name: "FOUND", Right: true}}}
	for _, d := range report.Datasets {
		if d.Error != "" {
			t.Add(d.Dataset, "", "", "", "", 1)
		}
		if d.Silent != nil {
			t.Add(d.Dataset, d.Silent.Side, "does not answer", "", "", 1)
		}
		for _, s := range d.Servers {
			known := "-"
			if s.Known.SystemID != "" {
				known = s.Known.String()
			}
			n := 0
			if s.Doubt != "" {
				n = 1
			}
			t.Add(d.Dataset, s.Side, s.Now, known, s.AgreedBy, n)
		}
	}
	if err := printer.Print(a.out, format, report, t); err != nil {
		return err
	}
	if format == printer.AsTable {
		if err := writeDoctor(a.out, plan, report, costs.Said()); err != nil {
			return err
		}
	}
	if report.Broken() > 0 {
		return ended{exitBlocked}
	}
	return nil
}

// writeDoctor prints what was found and what to do about it.
func writeDoctor(w io.Writer, plan string, report migration.DoctorReport, costs string) error {
	var b strings.Builder
	for _, d := range report.Datasets {
		writeDataset(&b, plan, d)
	}
	for _, id := range slices.Sorted(maps.Keys(report.Routes)) {
		fmt.Fprintf(&b, "\ncustomer %s is not routed to its home\n%s", id, printer.Wrap("  ", report.Routes[id]))
	}
	for _, u := range report.Unseen {
		b.WriteString("\nnot seen\n" + printer.Wrap("  ", u))
	}
	for _, m := range report.Mended {
		b.WriteString("\nmended\n" + printer.Wrap("  ", m))
	}
	writeThings(&b, report)
	if costs != "" && slices.ContainsFunc(report.Things, func(t migration.Thing) bool { return t.Monthly != "" }) {
		b.WriteString(printer.Wrap("", costs))
	}
	if report.Broken()+len(report.Left()) > 0 && len(report.Mended) == 0 {
		fmt.Fprintf(&b, "\nto mend what can be mended: drover doctor %s --repair --reason \"...\"\n", quoted(plan))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeDataset(b *strings.Builder, plan string, d migration.DatasetHealth) {
	if d.Error != "" {
		fmt.Fprintf(b, "\ndataset %s could not be examined\n", d.Dataset)
		b.WriteString(printer.Wrap("  ", d.Error))
		return
	}
	for _, s := range d.Servers {
		if s.Doubt != "" {
			fmt.Fprintf(b, "\ndataset %s, side %s\n", d.Dataset, s.Side)
			b.WriteString(printer.Wrap("  ", s.Doubt))
			fmt.Fprintf(b, "  when it may be believed:\n    drover doctor %s --agree %s/%s --server %s --reason \"...\"\n",
				quoted(plan), d.Dataset, s.Side, s.Now)
		}
	}
	for _, c := range d.Customers {
		fmt.Fprintf(b, "\ncustomer %s in dataset %s\n", c.ID, d.Dataset)
		b.WriteString(printer.Wrap("  ", c.Why))
	}
	if s := d.Silent; s != nil {
		fmt.Fprintf(b, "\ndataset %s, side %s does not answer\n%s", d.Dataset, s.Side, printer.Wrap("  ", s.Why))
		if !s.Heard.IsZero() {
			fmt.Fprintf(b, "  all that was written there until %s is on the other side\n", stamp(s.Heard))
		}
		fmt.Fprintf(b, "  if it is gone for good, to go on without it, customer by customer:\n    drover doctor %s --accept-loss CUSTOMER "+
			"--reason \"...\"\n", quoted(plan))
	}
	for _, l := range d.Alone {
		fmt.Fprintf(b, "\ncustomer %s goes on without a side of dataset %s\n%s", l.ID, d.Dataset, printer.Wrap("  ", l.Loss.String()))
	}
	for _, r := range d.Apart {
		writeApart(b, plan, d.Dataset, r)
	}
	for _, x := range d.Broken {
		fmt.Fprintf(b, "\nbroken in dataset %s\n%s", d.Dataset, printer.Wrap("  ", x))
	}
	if len(d.Joining) > 0 {
		fmt.Fprintf(b, "\ndataset %s: %s came into the plan and %s not prepared yet\n%s", d.Dataset, count(len(d.Joining), "customer"),
			map[bool]string{true: "is", false: "are"}[len(d.Joining) == 1],
			printer.Wrap("  ", "being carried over, or waiting for it: "+strings.Join(d.Joining, ", ")))
	}
	fmt.Fprintf(b, "\ndataset %s: %s open on exactly one side, %d not\n", d.Dataset, count(d.Whole, "customer"), len(d.Customers))
}

// writeApart prints what of a customer's rows is not the same on both sides, and what may be done.
func writeApart(b *strings.Builder, plan, dataset string, r migration.RowsApart) {
	fmt.Fprintf(b, "\ncustomer %s has rows in dataset %s that are not the same on side %s as at home\n", r.ID, dataset, r.Side)
	for _, t := range r.Tables {
		b.WriteString(printer.Wrap("  ", t))
	}
	switch {
	case r.Why != "":
		b.WriteString(printer.Wrap("  ", "nothing can be carried over: "+r.Why))
	case r.New > 0:
		b.WriteString(
			printer.Wrap("  ", fmt.Sprintf("its home never had %s of these: written there after %s, and by no replication. To bring "+
				"home what is new:", count(r.New, "row"), stamp(r.Left))),
		)
		fmt.Fprintf(b, "    drover doctor %s --carry-over %s --reason \"...\"\n", quoted(plan), r.ID)
	default:
		b.WriteString(printer.Wrap("  ", "carry over by hand what counts, then make the rows alike on both sides"))
	}
}

// writeThings prints what is left over, each with its cost, and counts what is in use by its kind.
func writeThings(b *strings.Builder, report migration.DoctorReport) {
	for _, t := range report.Left() {
		fmt.Fprintf(b, "\nleft over: %s %s\n", t, t.Where)
		b.WriteString(printer.Wrap("  ", t.Left))
		if t.Bytes > 0 {
			fmt.Fprintf(b, "  holds %s\n", printer.Bytes(t.Bytes))
		}
		if t.Monthly != "" {
			fmt.Fprintf(b, "  costs %s in 30 days\n", t.Monthly)
		}
	}
	type sum struct {
		things  int
		monthly float64
		unknown int
		money   string
	}
	used := map[string]sum{}
	for _, t := range report.Things {
		if t.Left != "" {
			continue
		}
		n := used[t.Kind]
		n.things += max(t.Count, 1)
		var cost float64
		if _, err := fmt.Sscanf(t.Monthly, "%f %s", &cost, &n.money); err == nil {
			n.monthly += cost
		} else if t.Monthly == prices.Unknown {
			n.unknown++
		}
		used[t.Kind] = n
	}
	for i, kind := range slices.Sorted(maps.Keys(used)) {
		if i == 0 {
			b.WriteString("\nin use\n")
		}
		n := used[kind]
		words := count(n.things, kind)
		if n.money != "" {
			words += fmt.Sprintf(": %.2f %s in 30 days", n.monthly, n.money)
		}
		if n.unknown > 0 {
			words += fmt.Sprintf("; what %d of them cost is unknown", n.unknown)
		}
		b.WriteString(printer.Wrap("  ", words))
	}
}

// quoted is a path as a shell takes it.
func quoted(path string) string {
	if strings.ContainsAny(path, " '\"$&;|<>()*?[]#~`\\") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}
