package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/worker"
)

func (a *app) workerCommand() *cobra.Command {
	o := worker.Options{Main: true}
	cmd := &cobra.Command{
		Use:   "worker [--site NAME]...",
		Short: "Run a worker",
		Long: `Runs a worker until it is interrupted. The main worker carries the workflows and
talks to AWS; a worker with --site works next to that site's data and must reach
its vCenter, databases and files. One process may do both.

AWS settings are those of every AWS tool. Plans name secrets by reference only:
env:// and file:// are resolved here, on the worker that uses them.`,
		Args: asInput(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !o.Main && len(o.Sites) == 0 {
				return inputError("give --site NAME, or leave --main=false out", "a worker without --main and --site has nothing to do")
			}
			opts, err := a.options()
			if err != nil {
				return err
			}
			if o.Log, err = a.logger(); err != nil {
				return err
			}
			o.Client = opts
			if o.Identity == "" {
				o.Identity = defaultIdentity()
			}
			return worker.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.Sites, "site", nil, "work next to the data of this site; may be repeated")
	f.BoolVar(&o.Main, "main", true, "carry the workflows and talk to AWS")
	f.StringVar(&o.Identity, "identity", "", "the worker's name in the Temporal UI (default PID@HOST)")
	return cmd
}

func defaultIdentity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%d@%s", os.Getpid(), host)
}
