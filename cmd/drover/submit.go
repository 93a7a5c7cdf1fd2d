package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
)

func (a *app) submitCommand() *cobra.Command {
	var (
		by, output string
		wait       bool
		watch      watchOptions
	)
	cmd := &cobra.Command{
		Use:   "submit PLAN.yaml",
		Short: "Start the migration of a plan",
		Long: `Checks a plan, compiles it and starts its migration. Submitting the same plan
again while it runs changes nothing; another content under the same name is
refused. With --wait it follows the migration to its end, and the exit code says
how it ended.`,
		Example: `  drover submit plan.yaml
  drover submit plan.yaml --wait`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if wait {
				if err := watch.check(); err != nil {
					return err
				}
				if output != string(printer.AsTable) {
					return inputError("leave one of them out", "--wait shows the migration as lines: no -o %s", output)
				}
			}
			return a.withPlan(cmd.Context(), args[0], output,
				func(ctx context.Context, c *client.Client, spec *migration.Spec, format printer.Format) error {
					short, cancel := a.patience(ctx)
					defer cancel()
					got, err := c.Submit(short, spec, client.SubmitOptions{By: who(by)})
					if err != nil {
						return err
					}
					a.warnOfClosedWindows(spec, time.Now())
					if err := a.printSubmitted(format, got); err != nil || !wait {
						return err
					}
					return a.watch(ctx, c, got.Plan, watch)
				})
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "who submits (default $USER)")
	cmd.Flags().BoolVar(&wait, "wait", false, "follow the migration to its end")
	outputFlag(cmd, &output)
	watch.flags(cmd)
	return cmd
}

// withPlan hands a plan's file to use, compiled, with the client and the format to print in.
// Mistakes in either are told before anything is dialled.
func (a *app) withPlan(ctx context.Context, path, output string,
	use func(context.Context, *client.Client, *migration.Spec, printer.Format) error) error {
	format, err := parseOutput(output)
	if err != nil {
		return err
	}
	spec, warnings, err := loadPlan(path)
	if err != nil {
		return err
	}
	a.warn(warnings)
	return a.connected(ctx, func(ctx context.Context, c *client.Client) error { return use(ctx, c, spec, format) })
}

func (a *app) printSubmitted(format printer.Format, got client.Submitted) error {
	if format == printer.AsJSON || format == printer.AsYAML {
		return printer.Print(a.out, format, got, nil)
	}
	if format == printer.AsCSV {
		t := &printer.Table{Columns: []printer.Column{{Name: "PLAN"}, {Name: "REVISION"}, {Name: "DIGEST"}, {Name: "WORKFLOW"},
			{Name: "ALREADY"}}}
		t.Add(got.Plan, got.Revision, got.Digest, got.Workflow, got.Already)
		return printer.Print(a.out, format, got, t)
	}
	what := "submitted"
	if got.Already {
		what = "was submitted before and is running; nothing was changed"
	}
	_, err := fmt.Fprintf(a.out, "plan %s (digest %.12s): %s\nfollow it with: drover status %s --watch\n", got.Plan, got.Digest, what,
		got.Plan)
	return err
}
