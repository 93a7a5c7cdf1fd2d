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
		token int64
	)
	cmd := &cobra.Command{
		Use:   "retry PLAN (--customer ID | --batch NAME)",
		Short: "Let a held or rolled back customer, or a batch, try again",
		Long: `Lets a customer that is held or was rolled back try again, or a batch that was
taken back start anew. Repair the cause first: drover status PLAN --customer ID
shows it.`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at.Plan = args[0]
			if (at.Customer == "") == (at.Batch == "") {
				return inputError("give one of --customer ID and --batch NAME", "retry what of plan %s", at.Plan)
			}
			return a.send(cmd.Context(), at.String(), func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				wish := w.command()
				wish.Token = token
				return c.Retry(ctx, at, wish)
			})
		},
	}
	w.flags(cmd)
	cmd.Flags().StringVar(&at.Customer, "customer", "", "the customer to retry")
	cmd.Flags().StringVar(&at.Batch, "batch", "", "the batch to retry")
	cmd.Flags().Int64Var(&token, "token", 0, "the try that is meant: refused if there was a newer one (default the last)")
	return cmd
}
