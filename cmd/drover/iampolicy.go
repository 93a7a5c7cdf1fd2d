package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/internal/spelling"
	"github.com/drover-migration/drover/worker/permissions"
)

func (a *app) iamPolicyCommand() *cobra.Command {
	var of string
	cmd := &cobra.Command{
		Use:   "iam-policy PLAN.yaml",
		Short: "Print what a plan's workers must be allowed to do in AWS",
		Long: `Prints, as JSON, an IAM policy for each identity that the plan's workers have:
the main worker's own, that of each site's worker, and the role of each target
that has one. Each has exactly the calls that the product makes for this plan,
on what the plan names. With --of it prints the policy alone, as AWS takes it.
It asks nobody. Two things are not in the plan: keys of your own under which
secrets are kept, on which kms:Decrypt is needed beside this, and the role of an
instance profile, which iam:PassRole allows by the service that receives it.`,
		Example: `  drover iam-policy plan.yaml
  drover iam-policy plan.yaml --of main >main.json
  drover iam-policy plan.yaml --of 'site dc1' >dc1.json
  drover iam-policy plan.yaml --of arn:aws:iam::123456789012:role/drover`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			spec, warnings, err := loadPlan(args[0])
			if err != nil {
				return err
			}
			a.warn(warnings)
			grants := permissions.Of(spec)
			if of == "" {
				return printer.Print(a.out, printer.AsJSON, grants, nil)
			}
			var names []string
			for _, g := range grants {
				name := g.Role
				if name == "" {
					name = g.Workers[0]
				}
				if name == of {
					return printer.Print(a.out, printer.AsJSON, g.Policy, nil)
				}
				names = append(names, name)
			}
			next := "name one of: " + strings.Join(names, ", ")
			if meant := spelling.Nearest(of, names); meant != "" {
				next = fmt.Sprintf("did you mean %q?", meant)
			}
			return &badInput{err: fmt.Errorf("no worker or role of the plan is called %q", of), next: next}
		},
	}
	cmd.Flags().StringVar(&of, "of", "", `whose policy alone: main, "site NAME", or the ARN of a target's role`)
	return cmd
}
