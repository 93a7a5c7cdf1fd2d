package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/plans"
)

func (a *app) planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "plan", Short: "Begin and check plans", Args: asInput(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.planInitCommand(), a.planValidateCommand(), a.planSchemaCommand())
	return cmd
}

func (a *app) planValidateCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "validate PLAN.yaml",
		Short: "Report every mistake in a plan at once",
		Long: `Checks a plan without touching anything, and reports every mistake at once:
where it is, what was found, what is allowed. Secrets are not resolved; workers
do that in preflight. With -o json, yaml or csv the mistakes are listed on the
standard output, for programs.`,
		Example: `  drover plan validate plan.yaml
  drover plan validate plan.yaml -o json`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			format, err := parseOutput(output)
			if err != nil {
				return err
			}
			spec, warnings, err := loadPlan(args[0])
			if format != printer.AsTable {
				return a.listMistakes(format, err)
			}
			if err != nil {
				return err
			}
			a.warn(warnings)
			a.warnOfClosedWindows(spec, time.Now())
			_, err = fmt.Fprintf(a.out, "%s: plan %s is valid: %d customers in %d batches, %d workloads, %d datasets\n",
				args[0], spec.Plan, len(spec.Customers), len(spec.Batches), len(spec.Workloads), len(spec.Datasets))
			return err
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

// warnOfClosedWindows tells of batches whose window is over: no mistake where they have moved
// already, and else they would wait for ever.
func (a *app) warnOfClosedWindows(spec *migration.Spec, now time.Time) {
	for _, b := range spec.Batches {
		if b.Window != nil && !b.Window.Closes().After(now) {
			_, _ = fmt.Fprintf(a.err, "%s  drover retry %s --batch %s\n",
				printer.Wrap("", fmt.Sprintf("warning: the window of batch %s is over (%s); its customers move only when somebody says",
					b.Name, spanOf(*b.Window, b.Window.Zone))), spec.Plan, b.Name)
		}
	}
}

// listMistakes prints the mistakes that err holds, as data: an empty list is a valid plan.
func (a *app) listMistakes(format printer.Format, err error) error {
	problems := plans.Problems{}
	if err != nil && !errors.As(err, &problems) {
		return err
	}
	t := &printer.Table{Columns: []printer.Column{
		{Name: "file"}, {Name: "line"}, {Name: "column"}, {Name: "path"}, {Name: "message"}, {Name: "found"}, {Name: "want"},
		{Name: "hint"},
	}}
	for _, p := range problems {
		t.Add(p.File, p.Line, p.Column, p.Path, p.Message, p.Found, p.Want, p.Hint)
	}
	if err := printer.Print(a.out, format, problems, t); err != nil {
		return err
	}
	if len(problems) > 0 {
		return ended{exitInput}
	}
	return nil
}

func (a *app) planSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of plans, for editors",
		Long: `Prints the JSON Schema of plans. Save it next to a plan and begin the plan with
  # yaml-language-server: $schema=plan.schema.json
to have an editor complete and check it.`,
		Example: `  drover plan schema > plan.schema.json`,
		Args:    asInput(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			b, err := plans.Schema()
			if err != nil {
				return err
			}
			_, err = a.out.Write(b)
			return err
		},
	}
}

// warn tells of what is valid and may not have been meant.
func (a *app) warn(warnings plans.Problems) {
	for _, w := range warnings {
		_, _ = fmt.Fprint(a.err, printer.Wrap("", "warning: "+w.String()))
	}
}

// loadPlan reads, checks and compiles a plan. Every mistake in it is bad input.
func loadPlan(path string) (*migration.Spec, plans.Problems, error) {
	p, err := plans.Load(path)
	if err == nil {
		var spec *migration.Spec
		if spec, err = plans.Compile(p); err == nil {
			return spec, p.Warnings(), nil
		}
	}
	var problems plans.Problems
	info, none := os.Stat(path)
	switch {
	case errors.As(err, &problems):
		return nil, nil, &badInput{err: fmt.Errorf("plan %s has %s\n%w", path, count(len(problems), "mistake"), err),
			next: "correct the plan; docs/plan-reference.md and `drover plan schema` say what is allowed"}
	case none == nil && info.IsDir():
		return nil, nil, &badInput{err: fmt.Errorf("read plan %s: it is a folder", path), next: "name the plan's YAML file in it"}
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, &badInput{err: fmt.Errorf("read plan %s: there is no such file", path), next: "name the plan's YAML file"}
	default:
		return nil, nil, &badInput{err: err, next: "see that " + path + " is a plan that can be read"}
	}
}
