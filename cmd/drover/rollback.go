package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

func (a *app) rollbackCommand() *cobra.Command {
	var (
		w        wish
		at       client.Aim
		all, yes bool
		token    int64
	)
	cmd := &cobra.Command{
		Use:   "rollback PLAN (--customer ID|--batch NAME|--all) --reason WHY",
		Short: "Move a customer, a batch or everybody back home",
		Long: `Moves customers back to where they came from: the same Move as the cutover, in
the other direction, with the same checks. Nothing is lost by it. Asks first on
a terminal, unless --yes is given.`,
		Example: `  drover rollback orders --customer acme --reason "reports are empty"
  drover rollback orders --all --reason "incident 77" --yes`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at.Plan = args[0]
			if err := checkRollback(at, all, w.reason); err != nil {
				return err
			}
			what := at.String()
			if all {
				what = "all customers of " + what
			}
			if err := a.confirm(cmd.Context(), "roll back "+what+"?", yes); err != nil {
				return err
			}
			return a.send(cmd.Context(), what, func(ctx context.Context, c *client.Client) (migration.Accepted, error) {
				wish := w.command()
				wish.Token = token
				return c.Rollback(ctx, at, wish)
			})
		},
	}
	w.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&at.Customer, "customer", "", "the customer to move back")
	f.StringVar(&at.Batch, "batch", "", "the batch to move back")
	f.BoolVar(&all, "all", false, "move every customer of the plan back")
	yesFlag(cmd, &yes)
	f.Int64Var(&token, "token", 0, "the try that is meant: refused if there was a newer one (default the last)")
	return cmd
}

// checkRollback refuses what could be meant in two ways.
func checkRollback(at client.Aim, all bool, reason string) error {
	aims := 0
	for _, given := range []bool{at.Customer != "", at.Batch != "", all} {
		if given {
			aims++
		}
	}
	switch {
	case aims != 1:
		return inputError("give one of --customer ID, --batch NAME and --all", "a rollback of plan %s without saying whose", at.Plan)
	case reason == "":
		return inputError("say why with --reason: it is kept in the customer's timeline", "a rollback needs a reason")
	default:
		return nil
	}
}
