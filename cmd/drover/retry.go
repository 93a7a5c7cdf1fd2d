package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

func (a *app) retryCommand() *cobra.Command {
	var (
		w     wish
		at    client.Aim
		yes   bool
		token int64
	)
	cmd := &cobra.Command{
		Use:   "retry PLAN (--customer ID | --batch NAME)",
		Short: "Let a held or rolled back customer, or a batch, try again",
		Long: `Lets a customer that is held or was rolled back try again, or a batch that was
taken back start anew. Repair the cause first: drover status PLAN --customer ID
shows it. Asks first on a terminal, unless --yes is given.`,
		Example: `  drover retry orders --customer acme --reason "security group fixed"
  drover retry orders --batch wave --yes`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at.Plan = args[0]
			if (at.Customer == "") == (at.Batch == "") {
				return inputError("give one of --customer ID and --batch NAME", "retry what of plan %s", at.Plan)
			}
			if err := a.confirm(cmd.Context(), "retry "+at.String()+"?", yes); err != nil {
				return err
			}
			return a.send(cmd.Context(), at.String(), func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				wish := w.command()
				wish.Token = token
				got, err := c.Retry(ctx, at, wish)
				return whilePaused(ctx, c, at.Plan, got, err)
			})
		},
	}
	w.flags(cmd)
	cmd.Flags().StringVar(&at.Customer, "customer", "", "the customer to retry")
	cmd.Flags().StringVar(&at.Batch, "batch", "", "the batch to retry")
	yesFlag(cmd, &yes)
	cmd.Flags().Int64Var(&token, "token", 0, "the try that is meant: refused if there was a newer one (default the last)")
	return cmd
}
