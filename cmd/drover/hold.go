package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

func (a *app) holdCommand() *cobra.Command {
	var w wish
	cmd := &cobra.Command{
		Use:   "hold PLAN CUSTOMER",
		Short: "Keep one customer where it is",
		Long:  "Keeps a customer where it is until `drover retry`; its batch goes on without it.",
		Args:  asInput(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			subject := client.Aim{Plan: args[0], Customer: args[1]}.String()
			return a.send(cmd.Context(), subject, func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				return c.Hold(ctx, args[0], args[1], w.command())
			})
		},
	}
	w.flags(cmd)
	return cmd
}
