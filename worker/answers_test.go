package worker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/internal/permanent"
)

func TestAPermanentErrorIsNotTriedAgainWhateverIsWrappedAroundIt(t *testing.T) {
	never := temporal.NewNonRetryableApplicationError("there is no bucket", "NoSuchBucket", errors.New("404"))
	for _, c := range []struct {
		name  string
		err   error
		tries int
		kind  string
		text  string
	}{
		{"permanent", never, 1, "NoSuchBucket", "there is no bucket"},
		{"permanent below two layers", fmt.Errorf("copy files: %w", fmt.Errorf("put: %w", never)), 1, "NoSuchBucket",
			"copy files: put: there is no bucket"},
		{"permanent beside another", errors.Join(errors.New("close: EOF"), never), 1, "NoSuchBucket", "close: EOF\nthere is no bucket"},
		{"permanent below one that is not", temporal.NewApplicationErrorWithCause("look again", "Later", never), 3, "Later", "look again"},
		{"an engine's", permanent.New("NoRole", errors.New("403"), "the role is missing; create it"), 1, "NoRole",
			"the role is missing; create it"},
		{"an engine's below two layers", fmt.Errorf("launch: %w",
			fmt.Errorf("run: %w", permanent.New("NoRole", errors.New("403"), "the role is missing"))),
			1, "NoRole", "launch: run: the role is missing"},
		{"not permanent", temporal.NewApplicationError("look again", "Later"), 3, "Later", "look again"},
		{"none of Temporal's", errors.New("EOF"), 3, "", "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var suite testsuite.WorkflowTestSuite
			env := suite.NewTestWorkflowEnvironment()
			env.SetTestTimeout(time.Minute)
			env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&answers{}},
				DeadlockDetectionTimeout: time.Minute})
			tries := 0
			env.RegisterActivityWithOptions(func(context.Context) error { tries++; return c.err }, activity.RegisterOptions{Name: "act"})
			env.ExecuteWorkflow(func(ctx workflow.Context) error {
				ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute,
					RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 3}})
				return workflow.ExecuteActivity(ctx, "act").Get(ctx, nil)
			})
			var app *temporal.ApplicationError
			require.ErrorAs(t, env.GetWorkflowError(), &app)
			require.Equal(t, c.tries, tries)
			require.Equal(t, c.kind, app.Type())
			require.Equal(t, c.text, app.Message())
		})
	}
}

func TestAnActivityThatRunsOutOfTimeSaysWhatItWaitedFor(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&answers{}}})
	env.RegisterActivityWithOptions(func(ctx context.Context) (time.Duration, error) {
		end, _ := ctx.Deadline()
		return time.Until(end), nil
	}, activity.RegisterOptions{Name: "act"})
	v, err := env.ExecuteActivity("act")
	require.NoError(t, err)
	var left time.Duration
	require.NoError(t, v.Get(&left))
	require.Less(t, left, 10*time.Minute-lastWord, "the test environment gives ten minutes")
	require.Greater(t, left, 10*time.Minute-20*time.Second, "on a machine that is busy, too")
}
