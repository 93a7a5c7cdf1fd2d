package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/internal/codec"
)

func (a *app) payloadKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "payload-key ID",
		Short: "Make a key that payloads are encrypted with",
		Long: `Prints a line with a new key. What workers, the board and the command line send
to Temporal is encrypted where ` + codec.KeysVariable + ` refers to a file of such
lines (file:///path) or to a variable with them (env://NAME). The first key
encrypts, and all of them decrypt: to rotate, give everybody the new key as the
second line, then make it the first, and take the old one away when Temporal has
forgotten all that was written under it.`,
		Example: `  (umask 077; drover payload-key 2026-11 > payload.keys)
  export ` + codec.KeysVariable + `=file:///etc/drover/payload.keys`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			line, err := codec.NewKey(args[0])
			if err != nil {
				return &badInput{err: err, next: "name it by the month, for instance"}
			}
			_, err = fmt.Fprintln(a.out, line)
			return err
		},
	}
}
