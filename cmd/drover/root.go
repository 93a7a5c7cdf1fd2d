package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	temporalclient "go.temporal.io/sdk/client"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/config"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/internal/spelling"
	"github.com/drover-migration/drover/internal/version"
	"github.com/drover-migration/drover/migration"
)

// app is what every command shares: the streams, and the flags that stand before all of them.
type app struct {
	in       io.Reader
	out, err io.Writer

	logLevel, logFormat string
	timeout             time.Duration
}

// run is the command line without the process around it. It returns the exit code.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends what does not look at the first
	a := &app{in: in, out: out, err: errs}
	if f, ok := out.(*os.File); ok {
		printer.FitTerminal(f)
	}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	complain(errs, err)
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "drover",
		Short: "Moves customers to AWS in batches, and back when they are not healthy there",
		Long: `Drover moves on-premises workloads to AWS, one batch of customers at a time, and
moves them back by itself when they are not healthy there, without losing a
write in either direction.

Settings are those of every Temporal tool: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
TEMPORAL_PROFILE, TEMPORAL_API_KEY and TEMPORAL_TLS_*; workers also take those
of every AWS tool.

Exit codes:
` + strings.TrimRight(exitTable(), "\n"),
		SilenceErrors: true, SilenceUsage: true,
		Version: version.String(),
		Args:    knownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("drover {{.Version}}\n")
	f := root.PersistentFlags()
	f.StringVar(&a.logLevel, "log-level", "warn", "log from this level up: "+strings.Join(config.Levels, "|"))
	f.StringVar(&a.logFormat, "log-format", "text", "write logs as "+strings.Join(config.Formats, "|"))
	f.DurationVar(&a.timeout, "timeout", client.DefaultTimeout, "how long to wait for Temporal and its workers to answer")
	completes(root, "log-level", config.Levels...)
	completes(root, "log-format", config.Formats...)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &badInput{err: err, next: "see `" + cmd.CommandPath() + " --help`"}
	})
	for _, g := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"To plan and to begin:", []*cobra.Command{a.planCommand(), a.inventoryCommand(), a.observeCommand(), a.previewCommand(),
			a.iamPolicyCommand(), a.submitCommand(), a.amendCommand(), a.schemaCommand()}},
		{"To look:", []*cobra.Command{a.statusCommand(), a.watchCommand(), a.reportCommand(), a.evidenceCommand(), a.notifyCommand(),
			a.doctorCommand()}},
		{"To decide:", []*cobra.Command{a.approveCommand(), a.pauseCommand(), a.resumeCommand(), a.holdCommand(), a.retryCommand(),
			a.rollbackCommand(), a.skipCommand(), a.ackCommand(), a.finaliseCommand(), a.abortCommand()}},
		{"To look after a customer:", []*cobra.Command{a.noteCommand(), a.deferCommand(), a.decideCommand(), a.offerCommand()}},
		{"To run Drover:", []*cobra.Command{a.workerCommand(), a.webCommand(), a.payloadKeyCommand(), a.loginCommand(), a.logoutCommand(),
			a.versionCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.title
			root.AddCommand(c)
		}
	}
	root.AddCommand(exitCodesTopic())
	root.SetHelpCommand(helpCommand(root))
	a.completeNames(root)
	// Cobra prints flags however long their lines become; this is for a terminal of 80 columns.
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ", ".FlagUsagesWrapped 80 "))
	return root
}

// knownCommand refuses a word that is no command, with the one that was probably meant.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	next := "see `drover help`"
	if best := spelling.Nearest(args[0], names); best != "" {
		next = fmt.Sprintf("did you mean `drover %s`? Else see `drover help`", best)
	}
	return inputError(next, "there is no command %q", args[0])
}

// completes lets a shell complete the values of a flag.
func completes(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // a flag that the command does not have: every test meets it
	}
}

// helpCommand is cobra's, but that what it does not know is bad input.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about any command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, left, err := root.Find(args)
			if err != nil || len(left) > 0 {
				return inputError("see `drover help`", "there is no command %q", strings.Join(args, " "))
			}
			return cmd.Help()
		},
	}
}

// asInput makes a wrong number of arguments bad input, with the usage as the way on.
func asInput(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &badInput{err: err, next: "usage: " + cmd.UseLine() + "; see `" + cmd.CommandPath() + " --help`"}
		}
		return nil
	}
}

func (a *app) logger() (hclog.Logger, error) {
	log, err := config.Logger(a.logLevel, a.logFormat, a.err)
	if err != nil {
		return nil, &badInput{err: err, next: "see `drover --help`"}
	}
	return log, nil
}

// options are how Temporal is reached.
func (a *app) options() (temporalclient.Options, error) {
	log, err := a.logger()
	if err != nil {
		return temporalclient.Options{}, err
	}
	opts, err := config.Temporal(log)
	if err != nil {
		return opts, &badInput{err: err, next: "check the TEMPORAL_* variables and the profile"}
	}
	return opts, nil
}

// connected dials Temporal and hands the client to use.
func (a *app) connected(ctx context.Context, use func(context.Context, *client.Client) error) error {
	opts, err := a.options()
	if err != nil {
		return err
	}
	dial, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	t, err := temporalclient.DialContext(dial, opts)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return client.Unreachable(opts.HostPort, err)
	}
	defer t.Close()
	return use(ctx, signer(client.New(t).Under(opts), opts.Namespace))
}

// patience bounds one request.
func (a *app) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, a.timeout)
}

// wish holds the flags that every operator's command has.
type wish struct {
	by, reason, request string
}

func (w *wish) flags(cmd *cobra.Command) {
	w.named(cmd)
	cmd.Flags().StringVar(&w.reason, "reason", "", "why, for the record")
}

// named are the flags of a command whose text says why.
func (w *wish) named(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&w.by, "by", "", "who asks (default who has signed in, or $USER)")
	f.StringVar(&w.request, "request-id", "", "repeats of one id are one command (default a new one)")
}

func (w *wish) command() migration.Command {
	if w.request == "" {
		w.request = uuid.NewString()
	}
	return migration.Command{RequestID: w.request, By: who(w.by), From: sender(), Reason: w.reason}
}

// sender is the user and the machine that a command is sent from, whatever --by says.
func sender() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}

// yesFlag adds --yes to a command that asks first.
func yesFlag(cmd *cobra.Command, to *bool) { cmd.Flags().BoolVar(to, "yes", false, "do not ask") }

// outputFlag adds -o to a command that lists something.
func outputFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVarP(to, "output", "o", string(printer.AsTable), "print as "+printer.Formats)
	completes(cmd, "output", strings.Split(printer.Formats, "|")...)
}

func parseOutput(s string) (printer.Format, error) {
	f, err := printer.Parse(s)
	if err != nil {
		return f, &badInput{err: err, next: "use -o " + printer.Formats}
	}
	return f, nil
}

// send carries out an operator's command and prints what was answered.
func (a *app) send(ctx context.Context, subject string, do func(context.Context, *client.Client) (migration.Accepted, error)) error {
	if _, err := holder(); err != nil {
		return err
	}
	return a.connected(ctx, func(ctx context.Context, c *client.Client) error {
		ctx, cancel := a.patience(ctx)
		defer cancel()
		got, err := do(ctx, c)
		if err != nil {
			return err
		}
		_, err = io.WriteString(a.out, printer.Plain(subject+": "+got.Message)+"\n")
		return err
	})
}

// whilePaused adds to what was accepted that a paused plan moves nobody to AWS, if the workflow has
// not said so itself. Where the plan cannot be asked in time, nothing is added.
func whilePaused(ctx context.Context, c *client.Client, plan string, got migration.Accepted, err error) (migration.Accepted, error) {
	resume := "`drover resume " + plan + "`"
	if err != nil || strings.Contains(got.Message, resume) {
		return got, err
	}
	if s, err := c.Migration(ctx, plan); err == nil && s.Paused {
		got.Message += "; the plan is paused, and nobody moves to AWS until " + resume
	}
	return got, nil
}
