package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

func (a *app) abortCommand() *cobra.Command {
	var (
		w   wish
		yes bool
	)
	cmd := &cobra.Command{
		Use:   "abort PLAN",
		Short: "End a migration for good",
		Long: `Brings every customer home, also those that have finished on AWS, and then takes
out what the migration made: routes are restored, replication, guards and
functions leave the databases, and instances, services, images, copies of disks
and snapshots go. drover status says what stays: ids that AWS gave, rows and
files that were copied, records. Asks first on a terminal, unless --yes is
given.`,
		Example: `  drover abort orders --reason "the plan was wrong"`,
		Args:    asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at := client.Aim{Plan: args[0]}
			if err := a.confirm(cmd.Context(), "abort "+at.String()+"?", yes); err != nil {
				return err
			}
			return a.send(cmd.Context(), at.String(), func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				return c.Abort(ctx, at.Plan, w.command())
			})
		},
	}
	w.flags(cmd)
	yesFlag(cmd, &yes)
	return cmd
}
