package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
)

func (a *app) doctorCommand() *cobra.Command {
	var (
		w                     wish
		output, agree, server string
		yes                   bool
		limit                 time.Duration
	)
	cmd := &cobra.Command{
		Use:   "doctor PLAN.yaml",
		Short: "Show what the data itself says of a plan's customers",
		Long: `Reads both sides of every database of the plan, through the workers of its
sites: which servers stand there, and which customers are not open on exactly
one side. It asks the data and not the workflows, so it works when none is
alive. Exits with 8 if anything was found.

A server that was failed over, restored or replaced may have forgotten that a
customer was closed there. Until somebody has looked, Drover moves nobody and
changes no route because of it. After that look, say so by name:

  drover doctor plan.yaml --agree orders/onprem --server 7391/2 \\
      --reason "the standby had replayed everything"`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			say, err := agreement(agree, server, w)
			if err != nil {
				return err
			}
			if say != nil {
				question := fmt.Sprintf("believe the database server of %s on side %s (%s) from now on?", say.Dataset, say.Side, say.Seen)
				if err := a.confirm(cmd.Context(), question, yes); err != nil {
					return err
				}
			}
			return a.withPlan(cmd.Context(), args[0], output,
				func(ctx context.Context, c *client.Client, spec *migration.Spec, format printer.Format) error {
					ctx, cancel := context.WithTimeout(ctx, limit)
					defer cancel()
					report, err := c.Doctor(ctx, spec, say)
					if err != nil {
						return err
					}
					return a.printDoctor(format, args[0], report)
				})
		},
	}
	f := cmd.Flags()
	f.StringVar(&agree, "agree", "", "believe the server that stands there now: DATASET/onprem or DATASET/aws")
	f.StringVar(&server, "server", "", "the server that you looked at, as doctor showed it: SYSTEM/TIMELINE")
	f.DurationVar(&limit, "within", 2*time.Minute, "how long the sites may take to answer")
	f.BoolVar(&yes, "yes", false, "do not ask")
	w.flags(cmd)
	outputFlag(cmd, &output)
	return cmd
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
		Dataset: dataset, Side: migration.Side(side), Seen: migration.ServerIdentity{SystemID: system, Timeline: n}, By: w.by,
		Reason: w.reason,
	}, nil
}

func (a *app) printDoctor(format printer.Format, plan string, report migration.DoctorReport) error {
	t := &printer.Table{Columns: []printer.Column{{Name: "DATASET"}, {Name: "SIDE"}, {Name: "SERVER"}, {Name: "KNOWN AS"},
		{Name: "AGREED BY", Give: true, Least: 4}, {Name: "FOUND", Right: true}}}
	found := 0
	for _, d := range report.Datasets {
		if d.Error != "" {
			t.Add(d.Dataset, "", "", "", "", 1)
			found++
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
			found += n
			t.Add(d.Dataset, s.Side, s.Now, known, s.AgreedBy, n)
		}
		found += len(d.Customers)
	}
	if err := printer.Print(a.out, format, report, t); err != nil {
		return err
	}
	if format == printer.AsTable {
		if err := writeDoctor(a.out, plan, report); err != nil {
			return err
		}
	}
	if found > 0 {
		return ended{exitBlocked}
	}
	return nil
}

// writeDoctor prints below the table what was found and what to do about it.
func writeDoctor(w io.Writer, plan string, report migration.DoctorReport) error {
	var b strings.Builder
	for _, d := range report.Datasets {
		if d.Error != "" {
			fmt.Fprintf(&b, "\ndataset %s could not be examined\n", d.Dataset)
			b.WriteString(printer.Wrap("  ", d.Error))
			continue
		}
		for _, s := range d.Servers {
			if s.Doubt != "" {
				fmt.Fprintf(&b, "\ndataset %s, side %s\n", d.Dataset, s.Side)
				b.WriteString(printer.Wrap("  ", s.Doubt))
				fmt.Fprintf(&b, "  when it may be believed:\n    drover doctor %s --agree %s/%s --server %s --reason \"...\"\n",
					quoted(plan), d.Dataset, s.Side, s.Now)
			}
		}
		for _, c := range d.Customers {
			fmt.Fprintf(&b, "\ncustomer %s in dataset %s\n", c.ID, d.Dataset)
			b.WriteString(printer.Wrap("  ", c.Why))
		}
		fmt.Fprintf(&b, "\ndataset %s: %s open on exactly one side, %d not\n", d.Dataset, count(d.Whole, "customer"), len(d.Customers))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// quoted is a path as a shell takes it.
func quoted(path string) string {
	if strings.ContainsAny(path, " '\"$&;|<>()*?[]#~`\\") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}
