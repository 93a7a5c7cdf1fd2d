package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/web/board"
	"github.com/drover-migration/drover/web/report"
)

func (a *app) reportCommand() *cobra.Command {
	var batch, file string
	cmd := &cobra.Command{
		Use:   "report PLAN",
		Short: "Write what was measured down as one page of HTML",
		Long: `Writes one page of HTML that needs nothing besides itself: the score of the
migration and of each batch (freezes, ways back and why, rows and objects
compared, bytes copied), a chart of the freezes, and a table by customer. It
may be written at any time, and says when it was read. It has customers' names:
nobody else may read the file until you pass it on.`,
		Example: `  drover report orders                       # writes orders-report.html
  drover report orders --batch canary --file canary.html
  drover report orders --file - | mail -s "orders" lead@example.com`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			plan := args[0]
			if file == "" {
				file = plan + "-report.html"
				if batch != "" {
					file = plan + "-" + batch + "-report.html"
				}
			}
			return a.connected(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return a.report(ctx, c, plan, batch, file)
			})
		},
	}
	cmd.Flags().StringVar(&batch, "batch", "", "only this batch")
	cmd.Flags().StringVar(&file, "file", "", "file to write, -: standard output (default PLAN-report.html)")
	return cmd
}

// report reads a plan once, as the board does, and writes its page.
func (a *app) report(ctx context.Context, c *client.Client, plan, batch, file string) error {
	snap, err := a.snapshot(ctx, c, plan)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := report.Write(&page, snap, report.Options{Batch: batch, Clock: board.Clock{Zone: time.Local}}); err != nil {
		return err
	}
	if file == "-" {
		_, err := a.out.Write(page.Bytes())
		return err
	}
	if err := replaceFile(file, page.Bytes()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	_, err = fmt.Fprintf(a.out, "plan %s: the report is %s\n", plan, file)
	return err
}
