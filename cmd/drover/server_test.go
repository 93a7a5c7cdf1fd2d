package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	temporalclient "go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/migration"
)

// standInMigration answers as the product's does, and is through at once with one customer held.
func standInMigration(ctx workflow.Context, in migration.MigrationInput) error {
	err := workflow.SetQueryHandler(ctx, migration.QueryStatus, func(migration.Page) (migration.MigrationStatus, error) {
		return migration.MigrationStatus{Plan: in.Spec.Plan, Phase: migration.PhaseSoak, Batches: []migration.BatchStatus{
			{Name: "canary", Phase: migration.PhaseDone, Counts: migration.Counts{Customers: 2, OnAWS: 1, Held: 1}},
		}}, nil
	})
	if err != nil {
		return err
	}
	err = workflow.SetUpdateHandlerWithOptions(ctx, migration.UpdatePause,
		func(_ workflow.Context, cmd migration.Command) (migration.Accepted, error) {
			return migration.Accepted{Message: "pause accepted from " + cmd.By}, nil
		}, workflow.UpdateHandlerOptions{Validator: func(_ workflow.Context, cmd migration.Command) error {
			if cmd.Reason == "" {
				return errors.New("say why")
			}
			return nil
		}})
	if err != nil {
		return err
	}
	return workflow.Await(ctx, func() bool { return false })
}

// TestCommandsAgainstTemporal runs commands against Temporal's dev server and a stand-in for the workflow.
func TestCommandsAgainstTemporal(t *testing.T) {
	quiet := sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))
	dev, err := testsuite.StartDevServer(t.Context(), testsuite.DevServerOptions{
		ExistingPath: temporalBinary(t), LogLevel: "error",
		ClientOptions: &temporalclient.Options{DataConverter: codec.DataConverter(), FailureConverter: codec.FailureConverter(), Logger: quiet},
	})
	require.NoError(t, err, "run `make setup`")
	defer func() { _ = dev.Stop() }()
	require.NoError(t, client.New(dev.Client()).EnsureSearchAttributes(t.Context(), "default"))
	w := sdkworker.New(dev.Client(), migration.QueueMain, sdkworker.Options{})
	w.RegisterWorkflowWithOptions(standInMigration, workflow.RegisterOptions{Name: migration.WorkflowMigration})
	require.NoError(t, w.Start())
	defer w.Stop()
	t.Setenv("TEMPORAL_ADDRESS", dev.FrontendHostPort())
	t.Setenv("TEMPORAL_NAMESPACE", "default")
	t.Setenv("USER", "ann")

	plan, err := filepath.Abs("../../plans/examples/minimal.yaml")
	require.NoError(t, err)
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"status minimal", exitNotFound, "", "no plan of this name was submitted\nnext: list the plans with `drover status`"},
		{"submit " + plan + " --wait --every 50ms", exitHeld, "every batch is through: 1 on AWS, 0 rolled back, 1 held", ""},
		{"submit " + plan, exitDone, "was submitted before and is running; nothing was changed", ""},
		{"status minimal --watch", exitHeld, "plan minimal: soak", ""},
		{"status minimal -o yaml", exitDone, "phase: soak", ""},
		{"pause minimal", exitRefused, "", "error: pause plan minimal: say why\nnext: see what may be done now with `drover status minimal`"},
		{"pause minimal --reason lunch", exitDone, "plan minimal: pause accepted from ann", ""},
		{"status minimal --customer acme", exitNotFound, "", "there is no such customer"},
	} {
		t.Run(c.args, func(t *testing.T) {
			var out, errs bytes.Buffer
			got := run(strings.Fields(c.args), strings.NewReader(""), &out, &errs)
			require.Equal(t, c.code, got, "%s%s", &out, &errs)
			require.Contains(t, out.String(), c.stdout)
			require.Contains(t, errs.String(), c.stderr)
		})
	}
}

// temporalBinary is what `make setup` built: below DROVER_TOOLS, or in the nearest .cache upwards.
func temporalBinary(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("DROVER_TOOLS"); dir != "" {
		return filepath.Join(dir, "bin", "temporal")
	}
	p, err := filepath.Abs("../../.cache/bin/temporal")
	require.NoError(t, err)
	return p
}
