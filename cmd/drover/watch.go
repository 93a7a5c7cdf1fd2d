package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/watch"
	"github.com/drover-migration/drover/web/board"
)

func (a *app) watchCommand() *cobra.Command {
	var (
		by    string
		every time.Duration
	)
	cmd := &cobra.Command{
		Use:   "watch PLAN",
		Short: "Follow a migration on the terminal, and act by keys",
		Long: `Shows batches and customers, what is copied and how fast, what waits for you,
and what happens. Keys approve, pause, resume, hold, retry, roll back and look
after what waits, after a question: the same commands with the same checks as
drover approve and the others; ? lists them. It stays until you leave, and what
it shows goes on.

Without a terminal every change is a line, as with drover status PLAN --watch:
it ends when every batch is through, and the exit code says how.`,
		Example: `  drover watch orders
  drover watch orders > orders.log`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if every < time.Second {
				return inputError("give a time such as 2s", "--every %s is too often: a migration is read once a second at most", every)
			}
			ctx := cmd.Context()
			if !isTerminal(a.out) || !isTerminal(a.in) {
				return a.connected(ctx, func(ctx context.Context, c *client.Client) error {
					return a.watch(ctx, c, args[0], watchOptions{every: every})
				})
			}
			quiet := *a
			quiet.err = io.Discard // a line of a log would tear the screen
			return quiet.connected(ctx, func(ctx context.Context, c *client.Client) error {
				return a.watchScreen(ctx, c, args[0], wish{by: by}, every)
			})
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "who asks (default who has signed in, or $USER)")
	cmd.Flags().DurationVar(&every, "every", board.DefaultEvery, "how often to read the migration, 1s or more")
	return cmd
}

// watchScreen shows a plan on the terminal until its user leaves.
func (a *app) watchScreen(ctx context.Context, c *client.Client, plan string, w wish, every time.Duration) error {
	ctx, stop := context.WithCancel(ctx)
	hub := board.NewHub(ctx, c, every)
	defer hub.Wait()
	defer stop()
	first, cancel := a.patience(ctx)
	defer cancel()
	follower, err := hub.Follow(first, plan)
	if err != nil {
		return err
	}
	return watch.Run(ctx, a.in, a.out, watch.Options{
		Reader: follower, Commands: c, Zone: time.Local, Patience: a.timeout,
		Command: func(reason string, token int64) migration.Command {
			each := wish{by: w.by, reason: reason}
			cmd := each.command()
			cmd.Token = token
			return cmd
		},
		Signed: func() error {
			_, err := holder()
			return err
		},
	})
}
