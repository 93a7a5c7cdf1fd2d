package main

import (
	"bytes"
	"errors"
	"fmt"
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
	return takes(ctx, migration.UpdatePause, migration.UpdateResume, migration.UpdateRollback, migration.UpdateAbort)
}

// standInBatch and standInCustomer take what theirs take.
func standInBatch(ctx workflow.Context) error {
	err := workflow.SetQueryHandler(ctx, migration.QueryStatus, func(migration.Page) (migration.BatchStatus, error) {
		return migration.BatchStatus{Name: "canary", Phase: migration.PhaseDone, Counts: migration.Counts{Customers: 2, OnAWS: 1, Held: 1}}, nil
	})
	if err != nil {
		return err
	}
	return takes(ctx, migration.UpdateApprove, migration.UpdateRetry, migration.UpdateRollback)
}

func standInCustomer(ctx workflow.Context) error {
	err := workflow.SetQueryHandler(ctx, migration.QueryStatus, func() (migration.CustomerStatus, error) {
		return migration.CustomerStatus{ID: "acme", Phase: migration.PhaseHeld, Home: migration.AWS, Token: 7}, nil
	})
	if err != nil {
		return err
	}
	return takes(ctx, migration.UpdateHold, migration.UpdateRetry, migration.UpdateRollback)
}

// takes accepts updates that say why, and repeats what it heard.
func takes(ctx workflow.Context, updates ...string) error {
	for _, name := range updates {
		err := workflow.SetUpdateHandlerWithOptions(ctx, name,
			func(_ workflow.Context, cmd migration.Command) (migration.Accepted, error) {
				return migration.Accepted{Message: fmt.Sprintf("%s accepted from %s (%s), try %d", name, cmd.By, cmd.Reason, cmd.Token)}, nil
			}, workflow.UpdateHandlerOptions{Validator: func(_ workflow.Context, cmd migration.Command) error {
				if cmd.Reason == "" {
					return errors.New("say why")
				}
				return nil
			}})
		if err != nil {
			return err
		}
	}
	return workflow.Await(ctx, func() bool { return false })
}

// standInCheck answers an inventory.
func standInCheck(workflow.Context, migration.CheckInput) (migration.InventoryReport, error) {
	return migration.InventoryReport{Sites: []migration.SiteInventory{{Site: "dc1", VMs: []migration.VM{{Name: "web-01"}}}}}, nil
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
	w.RegisterWorkflow(standInBatch)
	w.RegisterWorkflow(standInCustomer)
	w.RegisterWorkflowWithOptions(standInCheck, workflow.RegisterOptions{Name: migration.WorkflowCheck})
	require.NoError(t, w.Start())
	defer w.Stop()
	for id, wf := range map[string]any{migration.BatchID("minimal", "canary"): standInBatch, migration.CustomerID("minimal", "acme"): standInCustomer} {
		_, err := dev.Client().ExecuteWorkflow(t.Context(), temporalclient.StartWorkflowOptions{ID: id, TaskQueue: migration.QueueMain}, wf)
		require.NoError(t, err)
	}
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
		{"pause minimal --reason lunch", exitDone, "plan minimal: pause accepted from ann (lunch)", ""},
		{"resume minimal --reason done --by bob", exitDone, "plan minimal: resume accepted from bob (done)", ""},
		{"approve minimal canary --reason CHG-1", exitDone, "batch canary of plan minimal: approve accepted from ann (CHG-1)", ""},
		{"approve minimal canary", exitRefused, "", "say why\nnext: see what may be done now with `drover status minimal --batch canary`"},
		{"approve minimal nobody --reason x", exitNotFound, "", "there is no such batch"},
		{"hold minimal acme --reason wait", exitDone, "customer acme of plan minimal: hold accepted from ann (wait)", ""},
		{"hold minimal globex --reason wait", exitNotFound, "", "there is no such customer"},
		{"retry minimal --customer acme --reason again", exitDone, "customer acme of plan minimal: retry accepted from ann (again)", ""},
		{"retry minimal --customer acme --reason again --token 7", exitDone, "customer acme of plan minimal: retry accepted from ann (again), try 7", ""},
		{"retry minimal --batch canary --reason again", exitDone, "batch canary of plan minimal: retry accepted from ann (again)", ""},
		{"retry minimal --reason again", exitInput, "", "--customer"},
		{"rollback minimal --customer acme --reason ill --yes", exitDone, "customer acme of plan minimal: rollback accepted from ann (ill)", ""},
		{"rollback minimal --batch canary --reason ill --yes", exitDone, "batch canary of plan minimal: rollback accepted from ann (ill)", ""},
		{"rollback minimal --all --reason ill --yes", exitDone, "plan minimal: rollback accepted from ann (ill)", ""},
		{"rollback minimal --all --yes", exitInput, "", "--reason"},
		{"abort minimal --reason over --yes", exitDone, "plan minimal: abort accepted from ann (over)", ""},
		{"abort minimal --yes", exitRefused, "", "say why\nnext: see what may be done now with `drover status minimal`"},
		{"inventory " + plan, exitDone, "web-01", ""},
		{"inventory " + plan + " -o csv", exitDone, "web-01", ""},
		{"status minimal --customer acme", exitDone, "customer acme", ""},
		{"status minimal --customer globex", exitNotFound, "", "there is no such customer"},
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
