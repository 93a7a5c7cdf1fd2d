package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

func (a *app) holdCommand() *cobra.Command {
	var (
		w   wish
		at  client.Aim
		yes bool
	)
	cmd := &cobra.Command{
		Use:   "hold PLAN --customer ID",
		Short: "Keep one customer where it is",
		Long: `Keeps a customer where it is until drover retry PLAN --customer ID; its batch
goes on without it. Asks first on a terminal, unless --yes is given.`,
		Example: `  drover hold orders --customer acme --reason "quarter's end"
  drover hold orders acme --yes`,
		Args: asInput(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at.Plan = args[0]
			if len(args) > 1 == (at.Customer != "") {
				return inputError("name one customer, with --customer ID", "hold whom of plan %s", at.Plan)
			}
			if len(args) > 1 {
				at.Customer = args[1]
			}
			if err := a.confirm(cmd.Context(), "hold "+at.String()+"?", yes); err != nil {
				return err
			}
			return a.send(cmd.Context(), at.String(), func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				return c.Hold(ctx, at.Plan, at.Customer, w.command())
			})
		},
	}
	w.flags(cmd)
	cmd.Flags().StringVar(&at.Customer, "customer", "", "the customer to hold")
	yesFlag(cmd, &yes)
	return cmd
}
