package replication

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// shelf is a dataset of files of 450 customers. Its exported methods are the activities.
type shelf struct {
	passed []string // the customers of each pass, as first..last
	cut    func()   // called in the second pass, which is then cut off in its middle
	fails  string   // the customer whose first pass fails
}

func (*shelf) LoadPlan(context.Context, migration.SpecRef) (state.Plan, error) {
	return state.Plan{Datasets: []migration.Dataset{
		{Name: "orders", Postgres: &migration.Postgres{Site: "dc1"}},
		{Name: "attachments", Files: &migration.Files{Site: "dc1", Target: "prod", FencedBy: "orders"}},
	}}, nil
}

func (*shelf) ListFileCustomers(context.Context, state.ListFileCustomersRequest) (list state.FileCustomers, _ error) {
	for i := range 450 {
		list.Customers = append(list.Customers, state.FileCustomer{ID: fmt.Sprintf("c%03d", i), Tenant: int64(i)})
	}
	return list, nil
}

func (s *shelf) PassFiles(_ context.Context, req files.PassFilesRequest) (r files.PassFilesResult, err error) {
	if req.Fence == nil || req.Fence.Name != "orders" {
		return r, fmt.Errorf("fenced by %v", req.Fence)
	}
	n := len(req.Customers)
	s.passed = append(s.passed, fmt.Sprintf("%d: %s..%s", n, req.Customers[0].ID, req.Customers[n-1].ID))
	cut := s.cut != nil && len(s.passed) == 2
	if cut {
		s.cut()
		n = 50
	}
	for _, c := range req.Customers[:n] {
		r.Passed = append(r.Passed, c.ID)
		if c.ID == s.fails {
			s.fails, r.Unequal, r.Failures = "", []string{c.ID}, []string{"its folder is locked"}
		}
	}
	if cut {
		return files.PassFilesResult{}, temporal.NewCanceledError(r)
	}
	return r, nil
}

func (s *shelf) world() *testsuite.TestWorkflowEnvironment {
	env := patient(&testsuite.WorkflowTestSuite{})
	env.RegisterWorkflow(Replication)
	env.RegisterActivity(s)
	return env
}

// patient is a Temporal for tests in which a step may take a minute: the machine may be busy with
// something else.
func patient(suite *testsuite.WorkflowTestSuite) *testsuite.TestWorkflowEnvironment {
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	return env
}

// A pass over more customers than a history has room for goes on, in the next run, with the next of
// them. Who has a Move is passed over.
func TestAPassGoesOnAsNewBetweenTwoParts(t *testing.T) {
	s := &shelf{}
	in := Input{Dataset: "attachments"}
	for _, next := range []string{"c200", "c400"} {
		env := s.world()
		env.SetContinueAsNewSuggested(true)
		env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil)
		env.ExecuteWorkflow(Replication, in)
		var renewed *workflow.ContinueAsNewError
		require.ErrorAs(t, env.GetWorkflowError(), &renewed)
		in = Input{}
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(renewed.Input, &in))
		require.Equal(t, next, in.State.Next)
		in.State.Aside = []mail.Aside{{Batch: "b1", Customers: []string{"c399"}}}
	}
	require.Equal(t, []string{"200: c000..c199", "199: c200..c398"}, s.passed)
}

// A Move need not wait for the pass over everybody's files: the pass is cut off.
func TestAPassStepsAsideForAMoveInTheMiddleOfAPart(t *testing.T) {
	s := &shelf{}
	env := s.world()
	aside := func(n int, customers ...string) {
		env.SignalWorkflow(mail.SignalAside, mail.Aside{Order: mail.Order{At: int64(n)}, Batch: "b1", Customers: customers})
	}
	s.cut = func() {
		aside(3, "c300")
		aside(2) // older, and late
	}
	s.until(env, filePassPause/2)
	// The environment of the test answers a cancel itself, for the activity: nobody's turn is known
	// to be over.
	require.Equal(t, []string{"200: c000..c199", "200: c200..c399", "199: c200..c399", "50: c400..c449"}, s.passed)
}

func TestAPassThatWasCutOffGoesOnWithThoseWhoseTurnWasNotOver(t *testing.T) {
	s := &shelf{cut: func() {}}
	s.until(s.world(), filePassPause/2)
	require.Equal(t, []string{"200: c000..c199", "200: c200..c399", "200: c250..c449"}, s.passed)
}

// until runs a Replication for a while.
func (*shelf) until(env *testsuite.TestWorkflowEnvironment, stop time.Duration) {
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil)
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(mail.SignalStop, mail.Wish{}) }, stop)
	env.ExecuteWorkflow(Replication, Input{Dataset: "attachments"})
}

// One customer of ten thousand whose pass fails does not ask for everybody's once more.
func TestTheFirstPassLooksAgainOnlyAtWhomItDidNotMakeEqual(t *testing.T) {
	s := &shelf{fails: "c201"}
	s.until(s.world(), filePassPause+filePassPause/2)
	require.Equal(t, []string{"200: c000..c199", "200: c200..c399", "50: c400..c449", "1: c201..c201"}, s.passed)
}
