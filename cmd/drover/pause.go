package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

func (a *app) pauseCommand() *cobra.Command {
	var w wish
	cmd := &cobra.Command{
		Use:   "pause PLAN",
		Short: "Let no further customer start to move",
		Long: "Stops the admission of customers to their Moves. Moves that run go on to their\nend, and unhealthy customers still go " +
			"back.",
		Example: `  drover pause orders --reason "incident 77"`,
		Args:    asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			subject := client.Aim{Plan: args[0]}.String()
			return a.send(cmd.Context(), subject, func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				return c.Pause(ctx, args[0], w.command())
			})
		},
	}
	w.flags(cmd)
	return cmd
}
