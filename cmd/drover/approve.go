package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

func (a *app) approveCommand() *cobra.Command {
	var w wish
	cmd := &cobra.Command{
		Use:   "approve PLAN BATCH",
		Short: "Approve a batch's gate",
		Long:  "Adds your approval to a batch that waits for it. A batch that needs approvals of\nseveral people counts each person once.",
		Args:  asInput(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			subject := client.Aim{Plan: args[0], Batch: args[1]}.String()
			return a.send(cmd.Context(), subject, func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				return c.Approve(ctx, args[0], args[1], w.command())
			})
		},
	}
	w.flags(cmd)
	return cmd
}
