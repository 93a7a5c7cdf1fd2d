package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

func (a *app) noteCommand() *cobra.Command {
	var (
		w      wish
		at     client.Aim
		ticket string
	)
	cmd := &cobra.Command{
		Use:   "note PLAN --customer ID [TEXT]",
		Short: "Write down a note or a ticket about a customer",
		Long: `Writes a note down beside a customer, with who wrote it: a text, a ticket or
both. The customer's page and drover status show it to whoever has signed in; a
link to the customer's page does not.`,
		Example: `  drover note orders --customer acme "they call at eight" \
    --ticket https://tickets.example/CHG-1042`,
		Args: asInput(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at.Plan = args[0]
			if len(args) > 1 {
				w.reason = args[1]
			}
			if at.Customer == "" {
				return inputError("name one, with --customer ID", "a note about whom of plan %s", at.Plan)
			}
			if w.reason == "" && ticket == "" {
				return inputError("give a TEXT, --ticket or both", "a note without a word")
			}
			return a.send(cmd.Context(), at.String(), func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				wish := w.command()
				wish.Ticket = ticket
				return c.Note(ctx, at.Plan, at.Customer, wish)
			})
		},
	}
	w.named(cmd)
	cmd.Flags().StringVar(&at.Customer, "customer", "", "the customer that the note is about")
	cmd.Flags().StringVar(&ticket, "ticket", "", "where more of it stands: an address or a number")
	return cmd
}
