package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
)

// mostDDL is how large a file of DDL may be: it travels in the command.
const mostDDL = 200 << 10

func (a *app) schemaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "schema", Short: "Change the schema of a plan's databases", Args: asInput(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.schemaApplyCommand(), a.schemaTakeInCommand())
	return cmd
}

func (a *app) schemaApplyCommand() *cobra.Command {
	var c schemaWish
	cmd := &cobra.Command{
		Use:   "apply PLAN FILE.sql --reason WHY",
		Short: "Give both sides of a database the same DDL",
		Long: `Checks a file of DDL on both sides of a database, in transactions that are
rolled back, and then gives it to both at once: AWS first. New tables are
guarded, and replicated each way with the rows of those who are at home there.
Whatever adds is taken in: tables, partitions, columns with one default,
indexes, views, functions. Refused, before anything is touched: what removes,
renames or retypes what rows under way have, what rewrites a table or refuses
rows (CHECK, UNIQUE, NOT NULL), rows themselves, and what touches Drover's own
objects.

Who writes these tables waits for some seconds at most: what takes longer is
refused, and where locks are not free it is tried again. A file is applied once,
by its digest. Names without a schema mean "$user", public.`,
		Example: `  drover schema apply orders add-notes.sql --reason CHG-3010
  drover schema apply orders add-notes.sql --dataset orders --reason CHG-3010`,
		Args: asInput(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			change, err := readDDL(args[1])
			if err != nil {
				return err
			}
			return a.changeSchema(cmd.Context(), args[0], change, c)
		},
	}
	c.flags(cmd)
	return cmd
}

func (a *app) schemaTakeInCommand() *cobra.Command {
	var c schemaWish
	cmd := &cobra.Command{
		Use:   "take-in PLAN --reason WHY",
		Short: "Replicate what DDL by hand has made on both sides",
		Long: `Sets up what somebody has made by hand, alike on both sides of a database: new
tables and partitions are guarded and replicated, each with the rows of those
who are at home there. It refuses while the two sides are not alike. drover
schema apply does both at once, and lets nobody write on the wrong side
meanwhile.`,
		Example: `  drover schema take-in orders --reason CHG-3010`,
		Args:    asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeSchema(cmd.Context(), args[0], migration.SchemaChange{}, c)
		},
	}
	c.flags(cmd)
	return cmd
}

// schemaWish are the flags of both.
type schemaWish struct {
	wish
	dataset string
	limit   time.Duration
}

func (c *schemaWish) flags(cmd *cobra.Command) {
	c.wish.flags(cmd)
	cmd.Flags().StringVar(&c.dataset, "dataset", "", "the database (default the only one of the plan)")
	cmd.Flags().DurationVar(&c.limit, "within", 5*time.Minute, "how long to wait until it is made; it goes on after that")
}

// readDDL reads a file as it is given to both sides.
func readDDL(path string) (c migration.SchemaChange, err error) {
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return c, inputError("name the file of DDL", "there is no such file: %s", path)
	case err != nil:
		return c, inputError("name the file of DDL", "read %s: %v", path, err)
	case len(b) > mostDDL:
		return c, inputError("split it", "%s has %d bytes, and a change may have %d", path, len(b), mostDDL)
	case strings.TrimSpace(string(b)) == "":
		return c, inputError("write DDL into it", "%s is empty", path)
	}
	sum := sha256.Sum256(b)
	return migration.SchemaChange{File: filepath.Base(path), Text: string(b), Digest: hex.EncodeToString(sum[:])}, nil
}

func (a *app) changeSchema(ctx context.Context, plan string, change migration.SchemaChange, c schemaWish) error {
	if c.reason == "" {
		return inputError("say why with --reason: it is kept in both databases", "a change of the schema needs a reason")
	}
	if _, err := holder(); err != nil {
		return err
	}
	return a.connected(ctx, func(ctx context.Context, to *client.Client) error {
		ctx, cancel := context.WithTimeout(ctx, c.limit)
		defer cancel()
		cmd := c.command()
		change.Dataset = c.dataset
		cmd.Schema = &change
		got, err := to.ChangeSchema(ctx, plan, cmd)
		if err != nil {
			return err
		}
		_, err = io.WriteString(a.out, printer.Plain(fmt.Sprintf("plan %s: %s\n", plan, got.Message)))
		return err
	})
}
