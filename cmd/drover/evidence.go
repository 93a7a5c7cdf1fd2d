package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/evidence"
	"github.com/drover-migration/drover/internal/identity"
)

func (a *app) evidenceCommand() *cobra.Command {
	var batch, dir string
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "evidence PLAN",
		Short: "Write the signed evidence of what was done to each batch",
		Long: `Writes a signed bundle for each batch, PLAN-BATCH-evidence.jsonl: who approved
it, each Move with its steps and tokens, what was compared, what was judged, and
which software did it. A main worker signs it with the plan's evidence.key. Of a
batch that has ended this is what was kept in the state bucket, and of any other
how it stands now. Customers are in it by their ids; by name too, where the plan
says evidence.names.

docs/evidence.md has the format, and how to verify a bundle without Drover.`,
		Example: `  drover evidence orders                  # every batch that has started
  drover evidence orders --batch canary --dir audit
  drover evidence verify orders-canary-evidence.jsonl --key evidence-public.pem`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.connected(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				ctx, cancel := context.WithTimeout(ctx, limit)
				defer cancel()
				return a.evidence(ctx, c, args[0], batch, dir)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&batch, "batch", "", "only this batch")
	f.StringVar(&dir, "dir", ".", "folder to write into")
	f.DurationVar(&limit, "within", 2*time.Minute, "how long the worker may take")
	cmd.AddCommand(a.evidenceVerifyCommand(), a.evidenceKeyCommand())
	return cmd
}

// evidence writes a file for each batch.
func (a *app) evidence(ctx context.Context, c *client.Client, plan, batch, dir string) error {
	s, err := c.Migration(ctx, plan)
	if err != nil {
		return err
	}
	spec, err := c.Spec(ctx, plan)
	if err != nil {
		return err
	}
	if spec.Evidence == nil {
		return inputError("give it one and submit it again when it has ended; see docs/evidence.md",
			"plan %s has no evidence.key, and what is not signed is no evidence", plan)
	}
	var names []string
	for _, b := range s.Batches {
		if batch == "" || b.Name == batch {
			names = append(names, b.Name)
		}
	}
	if len(names) == 0 {
		return &client.Problem{Kind: client.ErrNotFound, Doing: "write the evidence of plan " + plan, Why: fmt.Sprintf("it has no batch %q",
			batch), Next: "list the batches with `drover status " + plan + "`"}
	}
	for _, name := range names {
		b, err := c.Evidence(ctx, spec, name)
		if err != nil {
			return err
		}
		file := filepath.Join(dir, plan+"-"+name+"-evidence.jsonl")
		if err := replaceFile(file, []byte(b.Text)); err != nil {
			return fmt.Errorf("write the evidence: %w", err)
		}
		from := "as it stands now"
		if b.Kept != "" {
			from = "as kept in " + b.Kept
		}
		if _, err := fmt.Fprintf(a.out, "batch %s, %s: %s\n", name, from, file); err != nil {
			return err
		}
	}
	return nil
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
