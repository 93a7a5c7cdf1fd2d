package lab

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	temporalclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/migration"
)

func TestLogsLedgerAndPlanAreKeptAndSecretsAreNot(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for _, name := range []string{"workers/worker-main.log", "temporal/temporal.log", "machines.log", "ledger.jsonl", "plan.yaml",
		"env.sh", "files/acme/bill.txt"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(from, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(from, name), []byte(name), 0o600))
	}
	require.NoError(t, keepFiles(from, to))
	var got []string
	entries, err := os.ReadDir(to)
	require.NoError(t, err)
	for _, e := range entries {
		got = append(got, e.Name())
	}
	require.ElementsMatch(t, []string{"workers-worker-main.log", "temporal-temporal.log", "machines.log", "ledger.jsonl", "plan.yaml"}, got)
}

func TestTheHistoryOfEveryWorkflowOfThePlanIsKept(t *testing.T) {
	dev, err := testsuite.StartDevServer(t.Context(), testsuite.DevServerOptions{
		ExistingPath: filepath.Join(tooltest.Dir(t, "bin/temporal"), "bin", "temporal"), LogLevel: "error",
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = dev.Stop() })
	c := dev.Client()
	require.NoError(t, client.New(c).EnsureSearchAttributes(t.Context(), "default"))
	for id, plan := range map[string]string{"migration/orders": "orders", "customer/orders/acme": "orders", "migration/other": "other"} {
		_, err := c.ExecuteWorkflow(t.Context(), temporalclient.StartWorkflowOptions{
			ID: id, TaskQueue: "nobody-polls-this",
			TypedSearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword(migration.AttrPlan).ValueSet(plan)),
		}, "Migration")
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		dir := t.TempDir()
		require.NoError(t, keepHistories(t.Context(), c, "orders", dir))
		customer, _ := filepath.Glob(filepath.Join(dir, "customer-orders-acme-*.json"))
		migrations, _ := filepath.Glob(filepath.Join(dir, "migration-orders-*.json"))
		all, _ := filepath.Glob(filepath.Join(dir, "*"))
		if len(customer) != 1 || len(migrations) != 1 || len(all) != 2 {
			return false // the list follows a moment later
		}
		body, err := os.ReadFile(customer[0])
		require.NoError(t, err)
		require.Contains(t, string(body), "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED")
		return true
	}, 20*time.Second, 100*time.Millisecond)
}
