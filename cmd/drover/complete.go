package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
)

// completionPatience is how long a person who has pressed Tab waits for names.
const completionPatience = 3 * time.Second

// names asks the running migrations for what a person may mean; plan is the first argument, where
// there is one.
type names func(ctx context.Context, c *client.Client, plan string) []string

func plansOf(ctx context.Context, c *client.Client, _ string) []string { return c.Plans(ctx) }

func batchesOf(ctx context.Context, c *client.Client, plan string) []string {
	return c.Batches(ctx, plan)
}

func customersIn(ctx context.Context, c *client.Client, plan string) []string {
	return c.Customers(ctx, plan)
}

func asksOf(ctx context.Context, c *client.Client, plan string) []string {
	return c.Asks(ctx, plan)
}

// completeNames lets a shell complete the arguments and flags of every command that names a plan,
// a batch, a customer or what waits, by the words of its usage: PLAN, BATCH, CUSTOMER and MESSAGE.
func (a *app) completeNames(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		a.completeNames(cmd)
		words := strings.FieldsFunc(cmd.Use, func(r rune) bool { return strings.ContainsRune(" []()|", r) })[1:]
		var args []names
		for _, w := range words {
			switch w {
			case "PLAN":
				args = append(args, plansOf)
			case "BATCH":
				args = append(args, batchesOf)
			case "CUSTOMER":
				args = append(args, customersIn)
			case "MESSAGE":
				args = append(args, asksOf)
			}
		}
		if cmd.Name() == "hold" { // the one whose customer may stand without its flag
			args = append(args, customersIn)
		}
		if len(args) == 0 || words[0] != "PLAN" && words[0] != "CUSTOMER" {
			continue // a PLAN.yaml is a file, which the shell completes by itself
		}
		cmd.ValidArgsFunction = func(_ *cobra.Command, given []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(given) >= len(args) {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.complete(args[len(given)], given, typed)
		}
		for flag, ask := range map[string]names{"customer": customersIn, "batch": batchesOf} {
			if cmd.Flags().Lookup(flag) == nil {
				continue
			}
			err := cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, given []string, typed string) ([]string,
				cobra.ShellCompDirective) {
				if len(given) == 0 {
					return nil, cobra.ShellCompDirectiveNoFileComp // of which plan is not known yet
				}
				return a.complete(ask, given, typed)
			})
			if err != nil {
				panic(err) // it has the flag, and no other completion of it: every test meets it
			}
		}
	}
}

// complete gives the names that begin as typed. Without an answer in time it gives none: a prompt
// is no place for an error.
func (a *app) complete(ask names, given []string, typed string) (out []string, _ cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), completionPatience)
	defer cancel()
	plan := ""
	if len(given) > 0 {
		plan = given[0]
	}
	_ = a.connected(ctx, func(ctx context.Context, c *client.Client) error {
		for _, n := range ask(ctx, c, plan) {
			if strings.HasPrefix(n, typed) {
				out = append(out, n)
			}
		}
		return nil
	})
	return out, cobra.ShellCompDirectiveNoFileComp
}
