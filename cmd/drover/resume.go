package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

func (a *app) resumeCommand() *cobra.Command {
	var w wish
	cmd := &cobra.Command{
		Use:     "resume PLAN",
		Short:   "Go on after a pause",
		Long:    "Goes on with a paused migration, also one that paused itself because too many\ncustomers were rolled back or held.",
		Example: `  drover resume orders --reason "cause repaired"`,
		Args:    asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			subject := client.Aim{Plan: args[0]}.String()
			return a.send(cmd.Context(), subject, func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				return c.Resume(ctx, args[0], w.command())
			})
		},
	}
	w.flags(cmd)
	return cmd
}
