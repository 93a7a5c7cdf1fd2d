package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/board"
)

func (a *app) finaliseCommand() *cobra.Command {
	var (
		w           wish
		signUps     bool
		name, batch string
	)
	cmd := &cobra.Command{
		Use:   "finalise PLAN [--batch NAME] --reason WHY",
		Short: "End the way back for good, when every soak is over",
		Long: `The point of no return. Shows what speaks for it, and asks for the plan's name
on a terminal; a script gives it with --confirm. Then Drover shuts the machines
on premises down (it deletes none), waits for what premises still send, and
takes replication, guards and slots out of the databases of both sides. AWS
serves alone from then on, under the routes as they are.

It refuses while any customer of the plan has not ended its soak on AWS, and
while rows of tenants stand in the tables that no batch has: these are routed to
premises. With --with-sign-ups they come along; their routes are yours to set.

With --batch only this batch's way back ends: its customers stay on AWS, what
they write is not sent home any more, the guard on premises goes on refusing
them, and machines on premises that only they use are shut down and tagged
retired-by-drover in vCenter; none is while tenants with rows on premises are
in no batch. The other batches go on as before. The plan cannot
be aborted from then on: finalise the others too.`,
		Example: `  drover finalise orders --reason "two quiet weeks, CHG-2044"
  drover finalise orders --batch canary --reason CHG-2041 --confirm canary
  drover finalise orders --reason CHG-2044 --confirm orders`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			plan := args[0]
			if w.reason == "" {
				return inputError("say why with --reason: it is kept in the plan's timeline", "finalising needs a reason")
			}
			at, confirm := client.Aim{Plan: plan, Batch: batch}, plan
			if batch != "" {
				confirm = batch
				if signUps {
					return inputError("leave --batch out: sign-ups are the whole plan's", "--with-sign-ups has no meaning for a batch")
				}
			}
			if name == "" && !isTerminal(a.in) {
				return inputError("give --confirm "+confirm, "nobody is there to confirm that %s ends its way back", at)
			}
			if err := a.showEvidence(cmd.Context(), plan, batch); err != nil {
				return err
			}
			if err := a.confirmByName(cmd.Context(), "end the way back of "+at.String()+" for good", confirm, name); err != nil {
				return err
			}
			return a.send(cmd.Context(), at.String(), func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				wish := w.command()
				wish.SignUps, wish.Batch = signUps, batch
				return c.Finalise(ctx, plan, wish)
			})
		},
	}
	w.flags(cmd)
	cmd.Flags().BoolVar(&signUps, "with-sign-ups", false, "tenants that are in no batch come along, and stay on AWS")
	cmd.Flags().StringVar(&batch, "batch", "", "end the way back of this batch only")
	cmd.Flags().StringVar(&name, "confirm", "", "the name of the plan, or of the batch, once more, instead of the question")
	return cmd
}

// showEvidence prints, a line a batch, who is on AWS and over its soak, and what was compared when
// it moved. batch is the only one that is shown; "": all are.
func (a *app) showEvidence(ctx context.Context, plan, batch string) error {
	return a.connected(ctx, func(ctx context.Context, c *client.Client) error {
		s, err := a.snapshot(ctx, c, plan)
		if err != nil {
			return err
		}
		t := &printer.Table{Columns: []printer.Column{{Name: "BATCH"}, {Name: "CUSTOMERS", Right: true}, {Name: "ON AWS", Right: true},
			{Name: "SOAK OVER", Right: true}, {Name: "MOVED BACK", Right: true}, {Name: "ROWS", Right: true},
			{Name: "OBJECTS", Right: true}}}
		var open []string
		for _, b := range s.Batches {
			if batch != "" && b.Name != batch {
				continue
			}
			customers := s.Of(b)
			over := 0
			for _, c := range customers {
				if c.State() == board.Finished {
					over++
				} else {
					open = append(open, c.Status.ID)
				}
			}
			m := board.Measure(customers)
			t.Add(b.Name, m.All, m.OnAWS, over, len(m.Back), m.Rows, m.Objects)
		}
		if err := printer.Print(a.err, printer.AsTable, nil, t); err != nil {
			return err
		}
		if len(open) > 0 {
			_, err = io.WriteString(a.err, printer.Wrap("", "not over: "+strings.Join(open, ", ")))
		}
		return err
	})
}
