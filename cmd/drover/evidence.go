package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/evidence"
	"github.com/drover-migration/drover/internal/identity"
)

func (a *app) evidenceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "evidence",
		Short: "Verify what was signed about a batch",
		Long: `Signed bundles of evidence say afterwards what was done to the customers of a
batch. docs/evidence.md has their format, and how to verify one without Drover.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.evidenceVerifyCommand(), a.evidenceKeyCommand())
	return cmd
}

func (a *app) evidenceVerifyCommand() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:   "verify BUNDLE --key PUBLIC",
		Short: "Say whether a bundle is what was signed",
		Long: `Holds a bundle against the public key of those who signed it. Nothing is asked
over a network. It exits with 0 where the bundle is what was signed, and with 1
where a line was changed, is missing, was added, moved or signed again: it names
the first such line.

Take the public key from whoever is responsible for the migration, and never
from where the bundle lies. The file may hold several: any of them is good.`,
		Example: `  drover evidence verify orders-canary-evidence.jsonl --key evidence-public.pem`,
		Args:    asInput(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if key == "" {
				return inputError("give --key FILE: the PEM that `drover evidence key` printed",
					"a bundle is verified with the public key of those who signed it")
			}
			public, err := identity.ReadPublic(key)
			if err != nil {
				return &badInput{err: fmt.Errorf("read the public key: %w", err), next: "give the PEM that `drover evidence key` printed"}
			}
			text, err := os.ReadFile(args[0])
			if err != nil {
				return &badInput{err: fmt.Errorf("read the bundle: %w", err), next: "name a file that `drover evidence` wrote"}
			}
			b, err := evidence.Verify(text, public...)
			var broken *evidence.BrokenError
			if errors.As(err, &broken) {
				return fmt.Errorf("%s is not what was signed: %w", args[0], err)
			}
			if err != nil {
				return err
			}
			return a.sayBundle(b)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "PEM file of the public key of those who signed")
	return cmd
}

// sayBundle says what a good bundle is about.
func (a *app) sayBundle(b evidence.Bundle) error {
	h := b.Head
	_, err := fmt.Fprintf(a.out,
		"%d lines, as signed with the key %s\nplan %s, revision %d, digest %s\nbatch %s: %s at %s, %s\n", len(b.Lines), b.Key,
		h.Plan, h.Revision, h.Digest, h.Batch, h.Phase, h.Made.UTC().Format(time.RFC3339), count(h.Counts.Customers, "customer"))
	return err
}

func (a *app) evidenceKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key FILE",
		Short: "Make the key that evidence is signed with",
		Long: `Writes a new private key (ed25519, PKCS 8) to FILE, which must not exist, and
prints its public key, for those who verify. The private key becomes a secret of
the main workers. Whoever reads it can sign whatever they like.`,
		Example: `  drover evidence key evidence.pem > evidence-public.pem`,
		Args:    asInput(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := identity.WriteKey(args[0])
			if err != nil {
				return &badInput{err: err, next: "give a FILE that is not there yet, in a folder that is"}
			}
			public, err := identity.PublicPEM(key)
			if err == nil {
				_, err = a.out.Write(public)
			}
			return err
		},
	}
}
