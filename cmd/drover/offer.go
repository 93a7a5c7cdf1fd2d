package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

func (a *app) offerCommand() *cobra.Command {
	var (
		w      wish
		at     client.Aim
		slots  []string
		length time.Duration
		zone   string
	)
	cmd := &cobra.Command{
		Use:   "offer PLAN --customer ID --slot TIME [--slot TIME ...]",
		Short: "Offer a customer times, of which it takes one",
		Long: `Offers a customer times (slots) in which it begins to move. Whoever has the link
to its page (drover web link) takes one there, and can add it to a calendar. The
customer then begins to move in that time and at no other: its batch goes on
without it until then. A slot lies in the window of its batch and is not all
blackout. Until one is taken the customer goes with its batch. What was offered
before is not offered any more. A lead ends a slot that was taken with drover
decide PLAN --customer ID --refuse.`,
		Example: `  drover offer orders --customer acme --slot "2026-12-09 22:00" \
    --slot "2026-12-10 06:00" --for 2h --zone Europe/Kyiv`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at.Plan = args[0]
			switch {
			case at.Customer == "":
				return inputError("name one, with --customer ID", "offer to whom of plan %s", at.Plan)
			case len(slots) == 0:
				return inputError(`give one or more, as --slot "2026-12-09 22:00"`, "an offer needs a time")
			case length <= 0:
				return inputError("give a time such as 2h", "--for %s is not a positive time", length)
			}
			var offered []migration.Window
			for _, s := range slots {
				t, err := parseMoment("--slot", s, zone)
				if err != nil {
					return err
				}
				offered = append(offered, migration.Window{Opens: t, For: migration.Duration(length), Zone: zone})
			}
			return a.send(cmd.Context(), at.String(), func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				wish := w.command()
				wish.Slots = offered
				return c.Offer(ctx, at.Plan, at.Customer, wish)
			})
		},
	}
	w.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&at.Customer, "customer", "", "the customer that takes one")
	f.StringArrayVar(&slots, "slot", nil, `when a slot begins, as "2026-12-09 22:00" or with its offset (RFC 3339)`)
	f.DurationVar(&length, "for", 2*time.Hour, "how long each slot is, in which the customer begins to move")
	zoneFlag(cmd, &zone, "--slot")
	return cmd
}
