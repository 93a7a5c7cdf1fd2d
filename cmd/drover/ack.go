package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

func (a *app) ackCommand() *cobra.Command {
	var w wish
	cmd := &cobra.Command{
		Use:   "ack PLAN MESSAGE",
		Short: "Look after what a message asks for",
		Long: `Says that you look after what a message asks for: a customer that is held, a
batch that waits, a plan that is paused. Nobody else is told of it, and the
status of the plan shows your name. MESSAGE is the id that the message names, or
its key, or the first eight digits of that.`,
		Example: `  drover ack orders held/acme/1796248800000
  drover ack orders 3fa91c02 --reason "on it"`,
		Args: asInput(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at := client.Aim{Plan: args[0], Message: args[1]}
			return a.send(cmd.Context(), at.String(), func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				return c.Ack(ctx, at.Plan, at.Message, w.command())
			})
		},
	}
	w.flags(cmd)
	return cmd
}
