package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/migration"
)

// labDir is where `lab up` keeps a lab, in the folder it is run in.
const labDir = "out/lab"

func upCommand() *cobra.Command {
	var workers bool
	cmd := &cobra.Command{
		Use: "up", Short: "Start a lab and keep it until Ctrl-C", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return up(cmd.Context(), workers) },
	}
	cmd.Flags().BoolVar(&workers, "workers", true, "run Drover's workers too")
	return cmd
}

func up(ctx context.Context, workers bool) error {
	l, drover, err := start(ctx, labDir, lab.DemoShape())
	if err != nil {
		return err
	}
	defer l.Close()
	if workers {
		if err := startWorkers(ctx, l, drover); err != nil {
			return err
		}
	}
	board, err := startPage(ctx, l, drover, labDir)
	if err != nil {
		return err
	}
	control, err := l.ServeControl()
	if err != nil {
		return err
	}
	fmt.Printf(`The lab is up. Ctrl-C ends it and leaves nothing behind.

  board            %s  (token: %s)
  one customer     %s
  messages         %s
  Temporal UI      %s
  application      http://%s  (Host: %s)
  vCenter          %s
  plan             %s
  lab's control    %s

%s`, board.at, board.token, board.link, l.Inbox.Page(), l.UI(), l.Edge(), l.Shape.Customers()[0].Host, l.VCenterURL, planFile(l), control,
		nextSteps(planFile(l), l.Shape.Name))
	<-ctx.Done()
	fmt.Println("\nending the lab")
	return nil
}

// planFile is the lab's plan as somebody in this folder calls it, whatever the folder is called.
func planFile(l *lab.Lab) string { return filepath.Join(labDir, filepath.Base(l.Plan)) }

// nextSteps are the commands with which somebody goes on, in the folder of the lab.
func nextSteps(file, plan string) string {
	return fmt.Sprintf(`In another terminal, in this folder:

  eval "$(bin/lab env)"
  bin/drover plan validate %[1]s
  bin/drover submit %[1]s
  bin/drover status %[2]s --watch
  bin/drover report %[2]s --file out/report.html
  bin/drover evidence %[2]s --dir out
`, file, plan)
}

// start starts a lab in dir, with this program on its machines.
func start(ctx context.Context, dir string, shape lab.Shape) (*lab.Lab, string, error) {
	t, err := tools()
	if err != nil {
		return nil, "", err
	}
	self, drover, err := binaries()
	if err != nil {
		return nil, "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, "", err
	}
	fmt.Println("starting vCenter, AWS, S3, EBS, PostgreSQL twice, Temporal and the application ...")
	l, err := lab.Start(ctx, lab.Options{Tools: t, Dir: dir, Self: self, Shape: shape, UI: true, Log: os.Stderr})
	return l, drover, err
}

// startWorkers starts the product's two workers, one that reaches AWS and one at the site, and
// waits until both ask for work.
func startWorkers(ctx context.Context, l *lab.Lab, drover string) error {
	c, err := l.Client(ctx)
	if err != nil {
		return err
	}
	for _, w := range []struct {
		name, queue string
		args        []string
	}{
		{"worker-main", migration.QueueMain, nil},
		{"worker-dc1", migration.SiteQueue("dc1"), []string{"--main=false", "--site", "dc1"}},
	} {
		p, err := l.StartWorker(w.name, drover, "", w.args...)
		if err != nil {
			return err
		}
		err = p.Ready(ctx, func(ctx context.Context) error {
			polls, err := c.Workers(ctx, w.queue)
			if err == nil && len(polls) == 0 {
				err = errors.New("it does not poll " + w.queue)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func envCommand() *cobra.Command {
	return &cobra.Command{
		Use: "env", Short: `Print the running lab's settings: eval "$(bin/lab env)"`, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b, err := os.ReadFile(filepath.Join(labDir, "env.sh"))
			if err != nil {
				return fmt.Errorf("no lab runs in this folder (start one with `make lab`): %w", err)
			}
			_, err = os.Stdout.Write(b)
			return err
		},
	}
}
