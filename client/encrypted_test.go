package client_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	temporalclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/migration"
)

// keyed are the options of a client or worker that has the key.
func keyed(t *testing.T) temporalclient.Options {
	t.Helper()
	line, err := codec.NewKey("2026-11")
	require.NoError(t, err)
	keys, err := codec.ParseKeys(line)
	require.NoError(t, err)
	said := codec.With(keys)
	return temporalclient.Options{Namespace: namespace, DataConverter: said.Data, FailureConverter: said.Failure, Logger: quiet}
}

// With keys a server of Temporal's has nothing to read: a customer's name and a person's reason are
// in no event of a history.
func TestWithKeysTemporalHasNothingToRead(t *testing.T) {
	opts := keyed(t)
	dev, err := testsuite.StartDevServer(t.Context(), testsuite.DevServerOptions{ExistingPath: tooltest.Path("bin/temporal"),
		ClientOptions: &opts, LogLevel: "error"})
	require.NoError(t, err)
	defer func() { _ = dev.Stop() }()
	c := client.New(dev.Client()).Under(opts)
	require.NoError(t, c.EnsureSearchAttributes(t.Context(), namespace))
	w := worker.New(dev.Client(), migration.QueueMain, worker.Options{})
	w.RegisterWorkflowWithOptions(standInMigration, workflow.RegisterOptions{Name: migration.WorkflowMigration})
	require.NoError(t, w.Start())
	defer w.Stop()

	s := spec(t, 1)
	s.Customers[0].Name = "Acme Corp"
	_, err = c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
	require.NoError(t, err)
	_, err = c.Pause(t.Context(), s.Plan, migration.Command{By: "ann", Reason: "a secret reason", RequestID: "one"})
	require.NoError(t, err)
	got, err := c.Status(t.Context(), s.Plan)
	require.NoError(t, err)
	require.True(t, got.Paused)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		plans, err := c.List(context.Background())
		require.NoError(t, err)
		require.Len(t, plans, 1)
		require.Equal(t, s.Plan, plans[0].Plan)
	}, 10*time.Second, 100*time.Millisecond)

	events := dev.Client().GetWorkflowHistory(t.Context(), migration.MigrationID(s.Plan), "", false,
		enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	n := 0
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(t, err)
		for _, word := range []string{"Acme Corp", "a secret reason", "c-00000"} {
			require.NotContains(t, e.String(), word)
		}
		n++
	}
	require.Greater(t, n, 5)

	without, err := temporalclient.NewClientFromExistingWithContext(t.Context(), dev.Client(), temporalclient.Options{Namespace: namespace,
		DataConverter: codec.DataConverter(), FailureConverter: codec.FailureConverter(), Logger: quiet})
	require.NoError(t, err)
	_, err = client.New(without).Status(t.Context(), s.Plan)
	require.ErrorContains(t, err, `encrypted under key "2026-11", and there are no keys here; set DROVER_PAYLOAD_KEYS`)
}
