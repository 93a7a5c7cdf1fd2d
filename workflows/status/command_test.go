package status_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
)

// answer notes what became of a command.
type answer struct {
	refused error
	said    migration.Accepted
}

func (*answer) Accept()            {}
func (a *answer) Reject(err error) { a.refused = err }
func (a *answer) Complete(v any, _ error) {
	if said, ok := v.(migration.Accepted); ok {
		a.said = said
	}
}

// given sends commands to a workflow, one a second, and says what became of each and how many were
// carried out.
func given(t *testing.T, commands ...migration.Command) (answers []*answer, carriedOut int) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	for i, cmd := range commands {
		a := &answer{}
		answers = append(answers, a)
		if !cmd.Until.IsZero() {
			cmd.Until = env.Now().Add(time.Until(cmd.Until).Round(time.Second))
		}
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow("hold", "", a, cmd) }, time.Duration(i+1)*time.Second)
	}
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		var s status.Status[migration.CustomerPhase]
		err := s.Handle(ctx, status.Command{
			Name: "hold", Allowed: func(migration.Command) error { return nil },
			Apply: func(workflow.Context, migration.Command) { carriedOut++ },
		})
		if err != nil {
			return err
		}
		return work.Sleep(ctx, time.Minute, "for the commands")
	})
	require.NoError(t, env.GetWorkflowError())
	return answers, carriedOut
}

func TestACommandThatNobodyWaitsForAnyMoreIsRefused(t *testing.T) {
	answers, n := given(t, migration.Command{RequestID: "1", By: "ann", Until: time.Now().Add(-time.Minute)})
	require.Error(t, answers[0].refused)
	require.Zero(t, n)
}

func TestACommandInTimeIsCarriedOutOnce(t *testing.T) {
	cmd := migration.Command{RequestID: "1", By: "ann", Until: time.Now().Add(time.Minute)}
	answers, n := given(t, cmd, cmd)
	require.NoError(t, answers[0].refused)
	require.NoError(t, answers[1].refused)
	require.Equal(t, "hold was accepted before", answers[1].said.Message)
	require.Equal(t, 1, n)
}

func TestACommandOfNobodyIsRefused(t *testing.T) {
	answers, n := given(t, migration.Command{RequestID: "1"})
	require.ErrorContains(t, answers[0].refused, "say who asks")
	require.Zero(t, n)
}

// A text that is kept is told to other workflows, and Temporal ends one that says too much.
func TestACommandWithALongerTextThanIsKeptIsRefused(t *testing.T) {
	long := strings.Repeat("ї", migration.LongestText)
	answers, n := given(t, migration.Command{RequestID: "1", By: "ann", Reason: long},
		migration.Command{RequestID: "2", By: "ann", Reason: long + "x"},
		migration.Command{RequestID: "3", By: strings.Repeat("a", 500)},
		migration.Command{RequestID: strings.Repeat("4", 500), By: "ann"},
		migration.Command{RequestID: "5", By: "ann", Ticket: long + "x"})
	require.NoError(t, answers[0].refused)
	require.ErrorContains(t, answers[1].refused, "the reason has 1001 characters, and at most 1000 are kept")
	for _, a := range answers[2:] {
		require.ErrorContains(t, a.refused, "are kept: shorten it")
	}
	require.Equal(t, 1, n)
}
