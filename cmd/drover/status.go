package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web"
	"github.com/drover-migration/drover/web/board"
)

// statusOptions is what a status is asked of.
type statusOptions struct {
	at     client.Aim
	follow bool
	watch  watchOptions
}

func (a *app) statusCommand() *cobra.Command {
	var (
		o      statusOptions
		output string
	)
	cmd := &cobra.Command{
		Use:   "status [PLAN]",
		Short: "Show where everything stands",
		Long: `Without a plan, lists the plans. With one, shows its batches, workloads,
datasets and customers; with --customer or --batch, only that, in full.

With --watch it follows the migration until every batch is through, and the exit
code says how it ended. On a terminal the table is drawn anew; otherwise every
change is a line.`,
		Example: `  drover status
  drover status orders --watch
  drover status orders --customer acme
  drover status orders -o csv`,
		Args: asInput(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := parseOutput(output)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				o.at.Plan = args[0]
			}
			if err := checkStatus(o, format); err != nil {
				return err
			}
			return a.connected(cmd.Context(), func(ctx context.Context, c *client.Client) error { return a.status(ctx, c, o, format) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.at.Customer, "customer", "", "only this customer, with its timeline")
	f.StringVar(&o.at.Batch, "batch", "", "only this batch")
	f.BoolVarP(&o.follow, "watch", "w", false, "follow until every batch is through")
	outputFlag(cmd, &output)
	o.watch.flags(cmd)
	return cmd
}

func checkStatus(o statusOptions, format printer.Format) error {
	partial := o.at.Customer != "" || o.at.Batch != ""
	switch {
	case o.at.Plan == "" && (partial || o.follow):
		return inputError("list the plans with `drover status`", "--customer, --batch and --watch need a PLAN")
	case o.at.Customer != "" && o.at.Batch != "":
		return inputError("give one of them", "--customer and --batch exclude each other")
	case o.follow && (partial || format != printer.AsTable):
		return inputError("leave the others out", "--watch shows a whole plan as a table or as lines: no --customer, no --batch, no -o")
	default:
		return nil
	}
}

func (a *app) status(ctx context.Context, c *client.Client, o statusOptions, format printer.Format) error {
	if o.follow {
		return a.watch(ctx, c, o.at.Plan, o.watch)
	}
	limit := a.timeout
	if format == printer.AsCSV {
		limit = max(limit, readLimit)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	now := time.Now()
	if o.at.Plan == "" {
		plans, err := c.List(ctx)
		if err != nil {
			return err
		}
		if format == printer.AsTable && len(plans) == 0 {
			_, err := io.WriteString(a.out, "no plan was submitted yet: drover submit PLAN.yaml\n")
			return err
		}
		return printer.Print(a.out, format, inUTC(plans), planList(plans, now, format))
	}
	// Before the status: a workflow that has ended does not change any more.
	execution, err := c.Execution(ctx, o.at)
	if err != nil {
		return err
	}
	if format == printer.AsCSV {
		return a.tracker(ctx, c, o.at)
	}
	g := a.glance(o.at.Plan).at(now)
	if o.at != (client.Aim{Plan: o.at.Plan}) {
		g.spec, _ = c.Spec(ctx, o.at.Plan) // Temporal may not keep it any more: then what it says is not shown
	}
	switch {
	case o.at.Customer != "":
		s, err := c.Customer(ctx, o.at.Plan, o.at.Customer)
		if err != nil {
			return err
		}
		if s.Home == migration.AWS {
			if whole, err := c.Migration(ctx, o.at.Plan); err == nil {
				g.whole = &whole
			}
		}
		head := ""
		if !goesOn(execution) {
			s.MayDo, head = nil, endedEarly("customer", execution)
		}
		return a.printView(format, dataOfCustomer(s, execution, g.spec), func() string { return head + g.customer(s) })
	case o.at.Batch != "":
		s, err := c.Batch(ctx, o.at.Plan, o.at.Batch)
		if err != nil {
			return err
		}
		if whole, err := c.Migration(ctx, o.at.Plan); err == nil {
			s = endsOf(s, whole)
		}
		head := ""
		if !goesOn(execution) {
			s.MayDo, head = nil, endedEarly("batch", execution)
		}
		return a.printView(format, dataOfBatch(s, execution), func() string { return head + g.batch(s) })
	default:
		s, err := c.Status(ctx, o.at.Plan)
		if err != nil {
			return err
		}
		if !goesOn(execution) {
			s.MayDo = nil
		}
		return a.printView(format, dataOfMigration(s, execution), func() string {
			return stopped(o.at.Plan, s, execution) + g.migration(s)
		})
	}
}

// glance is a look at a plan by whoever uses this terminal.
func (a *app) glance(plan string) glance {
	g := glance{plan: plan}
	if h, err := holder(); err != nil || h == nil {
		g.by = who("")
	}
	return g
}

// at is the look at a moment.
func (g glance) at(now time.Time) glance {
	g.now = now
	return g
}

// tracker writes customers as a spreadsheet takes them: the board's table.
func (a *app) tracker(ctx context.Context, c *client.Client, at client.Aim) error {
	snap, err := a.snapshot(ctx, c, at.Plan)
	if err != nil {
		return err
	}
	customers := snap.All(board.Filter{Batch: at.Batch})
	if at.Customer != "" {
		customers = nil
		if one, ok := snap.Customer(at.Customer); ok {
			customers = append(customers, one)
		}
	}
	return web.WriteCustomers(a.out, snap, customers)
}

// readLimit is how long reading a whole migration may take: one of many customers is many pages.
const readLimit = 30 * time.Second

// snapshot reads a plan once, as the board does.
func (a *app) snapshot(ctx context.Context, c *client.Client, plan string) (*board.Snapshot, error) {
	ctx, stop := context.WithTimeout(ctx, max(a.timeout, readLimit))
	hub := board.NewHub(ctx, c, 0)
	defer hub.Wait()
	defer stop()
	follower, err := hub.Follow(ctx, plan)
	if err != nil {
		return nil, err
	}
	return follower.Snapshot(ctx), nil
}

// goesOn says whether a workflow runs, or has come to its own end. One that somebody ended answers
// as if it lived.
func goesOn(execution string) bool {
	return execution == client.Running || execution == client.Completed
}

// printView prints a view for people where a table was asked for, and data otherwise.
func (a *app) printView(format printer.Format, v any, view func() string) error {
	if format == printer.AsTable {
		_, err := a.out.Write([]byte(view()))
		return err
	}
	return printer.Print(a.out, format, inUTC(v), nil)
}

func customersOf(s migration.MigrationStatus) (out []migration.CustomerStatus) {
	for _, b := range s.Batches {
		out = append(out, b.Customers...)
	}
	return out
}
