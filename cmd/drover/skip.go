package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

func (a *app) skipCommand() *cobra.Command {
	var (
		w   wish
		at  client.Aim
		yes bool
	)
	cmd := &cobra.Command{
		Use:   "skip PLAN --customer ID --reason WHY",
		Short: "Leave a customer on premises: its batch is over without it",
		Long: `Leaves a customer on premises that has not set out, or is at home again. Its
batch and the plan go on without it, and no retry sends it out. To move it after
all, put it into another batch and amend the plan (drover amend). A plan does
not finalise while it has customers on premises. Asks first on a terminal,
unless --yes is given.`,
		Example: `  drover skip orders --customer acme --reason "contract ends in March"`,
		Args:    asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at.Plan = args[0]
			switch {
			case at.Customer == "":
				return inputError("name one, with --customer ID", "skip whom of plan %s", at.Plan)
			case w.reason == "":
				return inputError("say why with --reason: it is kept with the customer", "a skip needs a reason")
			}
			if err := a.confirm(cmd.Context(), "skip "+at.String()+"?", yes); err != nil {
				return err
			}
			return a.send(cmd.Context(), at.String(), func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				return c.Skip(ctx, at.Plan, at.Customer, w.command())
			})
		},
	}
	w.flags(cmd)
	cmd.Flags().StringVar(&at.Customer, "customer", "", "the customer that stays")
	yesFlag(cmd, &yes)
	return cmd
}
