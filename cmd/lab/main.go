// Command lab runs Drover's laboratory: a data centre and an AWS account on the loopback network,
// and the demonstration in it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/app"
)

func main() {
	printer.FitTerminal(os.Stdout)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	root := &cobra.Command{Use: "lab", Short: "A data centre and an AWS account on the loopback network", SilenceUsage: true,
		SilenceErrors: true}
	root.AddCommand(upCommand(), demoCommand(), envCommand(), faultCommand(), loadCommand(), verifyCommand(), vcenterCommand(),
		&cobra.Command{Use: "app", Short: "Run the orders application, as every machine of the lab does", DisableFlagParsing: true,
			Hidden: true,
			RunE:   func(cmd *cobra.Command, args []string) error { return app.Main(cmd.Context(), args) }})
	if err := root.ExecuteContext(ctx); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(os.Stderr, "lab: interrupted")
			os.Exit(130)
		}
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(exitCode(err))
	}
}

// Exit codes; 0 is done, 130 interrupted.
const (
	exitFailed  = 1
	exitRefused = 4 // a lab runs in this folder already
	exitBusy    = 5 // nothing was lost, and the machine was too busy for its times to say anything
)

func exitCode(err error) int {
	switch {
	case errors.Is(err, errBusy):
		return exitBusy
	case errors.Is(err, lab.ErrRuns):
		return exitRefused
	default:
		return exitFailed
	}
}

// tools finds what `make setup` made: DROVER_TOOLS, or .cache in this folder or one above.
func tools() (string, error) {
	if d := os.Getenv("DROVER_TOOLS"); d != "" {
		return filepath.Abs(d)
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		d := filepath.Join(dir, ".cache")
		if _, err := os.Stat(filepath.Join(d, "bin", "temporal")); err == nil {
			return d, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("the lab's tools are not there: run `make setup` in the checkout, or set DROVER_TOOLS")
		}
		dir = filepath.Dir(dir)
	}
}

// binaries are this program and the product's, which is built beside it.
func binaries() (self, drover string, err error) {
	if self, err = os.Executable(); err != nil {
		return "", "", err
	}
	drover = filepath.Join(filepath.Dir(self), "drover")
	if _, err := os.Stat(drover); err != nil {
		return "", "", fmt.Errorf("the product's binary is not beside the lab's: run `make build`: %w", err)
	}
	return self, drover, nil
}
