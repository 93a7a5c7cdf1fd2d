package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/worker"
)

func (a *app) workerCommand() *cobra.Command {
	o := worker.Options{Main: true}
	var keys string
	cmd := &cobra.Command{
		Use:   "worker [--site NAME]...",
		Short: "Run a worker",
		Long: `Runs a worker until it is interrupted. The main worker carries the workflows and
talks to AWS; a worker with --site works next to that site's data and must reach
its vCenter, databases and files. One process may do both.

With --deployment the worker carries a version (Temporal's worker versioning): a
Move stays with the version that started it, and the workflows that live for
weeks go on with the current one. Nothing runs on a version before
"temporal worker deployment set-current-version" names it.

With --identity-keys the worker takes signed commands only: those given on a
board that has one of these keys, or on a command line that has signed in there
(drover login). Without it a command is of whomever it names. Give it to every
main worker.

AWS settings are those of every AWS tool. Plans name secrets by reference only:
env:// and file:// are resolved here, on the worker that uses them.`,
		Example: `  drover worker
  drover worker --main=false --site dc1`,
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
			if o.Deployment != "" && o.BuildID == "" {
				return inputError("give --build-id ID: the version of this binary, which `drover version` prints",
					"--deployment without --build-id does not say which version this is")
			}
			if keys != "" {
				if o.Identities, err = identity.ReadKeys(keys); err != nil {
					return &badInput{err: err, next: "give the public key that `drover web key` prints"}
				}
			}
			if o.Identity == "" {
				o.Identity = defaultIdentity()
			}
			_, _ = fmt.Fprintf(a.err, "worker %s: polling %s at %s, namespace %s, until Ctrl-C\n", o.Identity, strings.Join(queues(o),
				", "), opts.HostPort, opts.Namespace)
			if o.Main {
				_, _ = fmt.Fprintln(a.err, takes(o))
			}
			return worker.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.Sites, "site", nil, "work next to the data of this site; may be repeated")
	f.BoolVar(&o.Main, "main", true, "carry the workflows and talk to AWS")
	f.StringVar(&o.Identity, "identity", "", "the worker's name in the Temporal UI (default PID@HOST)")
	f.StringVar(&o.Deployment, "deployment", os.Getenv("TEMPORAL_DEPLOYMENT_NAME"), "worker deployment that this worker is of a version "+
		"of (TEMPORAL_DEPLOYMENT_NAME)")
	f.StringVar(&o.BuildID, "build-id", os.Getenv("TEMPORAL_WORKER_BUILD_ID"), "the version (TEMPORAL_WORKER_BUILD_ID)")
	f.StringVar(&o.Metrics, "metrics-listen", os.Getenv("DROVER_METRICS_LISTEN"), "HOST:PORT at which Prometheus finds /metrics "+
		"(DROVER_METRICS_LISTEN; default: none)")
	f.StringVar(&keys, "identity-keys", os.Getenv("DROVER_IDENTITY_KEYS"), "PEM file of the public keys of those who say who gives a "+
		"command (DROVER_IDENTITY_KEYS)")
	return cmd
}

// takes says from whom the worker takes commands.
func takes(o worker.Options) string {
	if o.Identities == nil {
		return "commands are taken under whatever name they give: no --identity-keys"
	}
	return "only signed commands are taken"
}

// queues are the task queues that a worker takes work from: a site that no plan names is seen here.
func queues(o worker.Options) (out []string) {
	if o.Main {
		out = append(out, migration.QueueMain)
	}
	for _, s := range o.Sites {
		out = append(out, migration.SiteQueue(s))
	}
	return out
}

func defaultIdentity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%d@%s", os.Getpid(), host)
}
