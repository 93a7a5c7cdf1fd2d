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
		Long: `Adds your approval to a batch that waits for it. A batch that needs approvals of
several people counts each name once. Where workers have --identity-keys, the
name is the one that you have signed in under (drover login); else it is the one
that --by gives. That is not proved: the user and machine that it was sent from
are recorded beside it.`,
		Example: `  drover approve orders canary --reason CHG-1042`,
		Args:    asInput(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at := client.Aim{Plan: args[0], Batch: args[1]}
			return a.send(cmd.Context(), at.String(), func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				got, err := c.Approve(ctx, at.Plan, at.Batch, w.command())
				return whilePaused(ctx, c, at.Plan, got, err)
			})
		},
	}
	w.flags(cmd)
	return cmd
}
