package customer

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// An order cuts a watch off: what it had found by then is the customer's verdict, and is reported,
// unless another one came meanwhile.
func TestAWatchThatIsCutOffKeepsItsVerdict(t *testing.T) {
	found := migration.Verdict{Outcome: migration.Inconclusive, Reason: "2 of 3 probes failed"}
	for name, x := range map[string]struct {
		ends  error
		since *migration.Verdict // what came while the watch ended
		want  *migration.Verdict
	}{
		"it says what it found": {ends: temporal.NewCanceledError(found), want: &found},
		"it says nothing":       {ends: temporal.NewCanceledError()},
		"it failed":             {ends: temporal.NewApplicationError("no answer", "Probe", found)},
		"another verdict has come meanwhile": {ends: temporal.NewCanceledError(found), since: &migration.Verdict{Outcome: migration.Fail},
			want: &migration.Verdict{Outcome: migration.Fail}},
	} {
		t.Run(name, func(t *testing.T) {
			var suite testsuite.WorkflowTestSuite
			suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
			env := suite.NewTestWorkflowEnvironment()
			env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
			var said []*migration.Verdict
			env.OnSignalExternalWorkflow(mock.Anything, migration.BatchID("shop", "wave"), "", mail.SignalReport, mock.Anything).Run(
				func(args mock.Arguments) { said = append(said, args.Get(4).(mail.CustomerReport).Status.Verdict) }).Return(nil)
			var got *migration.Verdict
			story := func(ctx workflow.Context) error {
				c := newCustomer(Input{Spec: migration.SpecRef{Plan: "shop"}, ID: "acme", Batch: "wave"})
				c.Phase = migration.CustomerHeld
				watch, end := workflow.NewFuture(ctx)
				kept := false
				workflow.Go(ctx, func(ctx workflow.Context) {
					c.keepVerdict(ctx, watch)
					kept = true
				})
				if err := workflow.Sleep(ctx, time.Second); err != nil {
					return err
				}
				if x.since != nil {
					c.Verdict = x.since
				}
				end.SetError(x.ends)
				if err := workflow.Await(ctx, func() bool { return kept }); err != nil {
					return err
				}
				c.Flush(ctx)
				got = c.Verdict
				return nil
			}
			env.RegisterWorkflow(story)
			env.ExecuteWorkflow(story)
			require.NoError(t, env.GetWorkflowError())
			require.Equal(t, x.want, got)
			if name == "it says what it found" {
				require.Equal(t, []*migration.Verdict{&found}, said)
			} else {
				require.Empty(t, said)
			}
		})
	}
}
