package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

func (a *app) deferCommand() *cobra.Command {
	var (
		w           wish
		at          client.Aim
		until, zone string
	)
	cmd := &cobra.Command{
		Use:   "defer PLAN --customer ID --until TIME --reason WHY",
		Short: "Ask that a customer does not move before a time",
		Long: `Asks that a customer which has not moved yet does not do so before a time. A
lead accepts or refuses that (drover decide); until then the customer goes with
its batch. A batch goes on without a customer that is deferred. When the
deferral ends the customer goes as the others did, if the batch's window is
still open.`,
		Example: `  drover defer orders --customer acme --until "2026-12-09 22:00" \
    --zone Europe/Kyiv --reason "their month end"`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at.Plan = args[0]
			switch {
			case at.Customer == "":
				return inputError("name one, with --customer ID", "defer whom of plan %s", at.Plan)
			case w.reason == "":
				return inputError("say why with --reason: a lead decides by it", "a deferral needs a reason")
			}
			t, err := parseMoment("--until", until, zone)
			if err != nil {
				return err
			}
			return a.send(cmd.Context(), at.String(), func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				wish := w.command()
				wish.NotBefore = t
				return c.Defer(ctx, at.Plan, at.Customer, wish)
			})
		},
	}
	w.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&at.Customer, "customer", "", "the customer that is not to move")
	f.StringVar(&until, "until", "", `the time before which it is not to move, as "2026-12-09 22:00" or with its offset (RFC 3339)`)
	zoneFlag(cmd, &zone, "--until")
	return cmd
}

func (a *app) decideCommand() *cobra.Command {
	var (
		w              wish
		at             client.Aim
		accept, refuse bool
	)
	cmd := &cobra.Command{
		Use:   "decide PLAN --customer ID (--accept | --refuse)",
		Short: "Accept or refuse a customer's deferral, or end it",
		Long: `Is a lead's word on a deferral that somebody has asked for (drover defer). With
--refuse it also ends one that was accepted: the customer goes with its batch
again.`,
		Example: `  drover decide orders --customer acme --accept
  drover decide orders --customer acme --refuse --reason "the window is theirs"`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at.Plan = args[0]
			if at.Customer == "" || accept == refuse {
				return inputError("name a customer with --customer ID, and give one of --accept and --refuse",
					"decide what about whom of plan %s", at.Plan)
			}
			return a.send(cmd.Context(), at.String(), func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				wish := w.command()
				wish.Accept = accept
				return c.Decide(ctx, at.Plan, at.Customer, wish)
			})
		},
	}
	w.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&at.Customer, "customer", "", "the customer whose deferral it is")
	f.BoolVar(&accept, "accept", false, "it does not move before the time that was asked for")
	f.BoolVar(&refuse, "refuse", false, "it goes with its batch")
	return cmd
}
