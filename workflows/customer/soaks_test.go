package customer

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/homes"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// Whether going back loses nothing only the audits of its data know.
func TestACustomerThatSoaksWellPromisesNothing(t *testing.T) {
	waits, reason := Soaks("")
	require.Equal(t, migration.WaitHealth, waits)
	require.Empty(t, reason)
	waits, reason = Soaks("its route is left as it is")
	require.Equal(t, migration.WaitOperator, waits)
	require.Equal(t, "its route is left as it is", reason)

	const once = "going back still loses nothing"
	require.Empty(t, Reason(once))
	require.Equal(t, "its route is left as it is", Reason("its route is left as it is"))
	var st State
	st.Phase, st.Waiting, st.Reason = migration.CustomerSoaking, migration.WaitHealth, once
	require.Empty(t, newCustomer(Input{ID: "acme", State: &st}).status().Reason, "of a run of an earlier worker")
}

// A slot is for a Move: who ends before it has none.
func TestWhoEndsBeforeItsMoveHasNoSlotAnyMore(t *testing.T) {
	for k, phase := range map[kind]migration.CustomerPhase{abort: migration.CustomerAborted, skip: migration.CustomerSkipped} {
		var suite testsuite.WorkflowTestSuite
		suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
		env := suite.NewTestWorkflowEnvironment()
		env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
		env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, "", mail.SignalReport, mock.Anything).Return(nil)
		env.RegisterActivityWithOptions(func(context.Context, homes.NotesRequest) error { return nil },
			activity.RegisterOptions{Name: "NoteHomes"})
		env.ExecuteWorkflow(func(ctx workflow.Context) (*migration.CustomerStatus, error) {
			c := newCustomer(Input{Spec: migration.SpecRef{Plan: "shop"}, ID: "acme", Batch: "wave"})
			c.Phase, c.Home = migration.CustomerWaiting, migration.OnPrem
			c.Slots = &migration.Slots{Offered: []migration.Window{{}}, Taken: &migration.Window{}, Choice: &migration.Event{By: "ann"}}
			c.order(k, mail.Wish{By: "ann", Reason: "they stay"}, migration.ByHand)
			c.obey(ctx)
			s := c.status()
			return &s, nil
		})
		require.NoError(t, env.GetWorkflowError())
		var got migration.CustomerStatus
		require.NoError(t, env.GetWorkflowResult(&got))
		require.Equal(t, phase, got.Phase)
		require.Nil(t, got.Slots.Chosen())
		require.Len(t, got.Slots.Offered, 1, "what was offered stays on record")
	}
}
