package replication

import (
	"context"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
)

// shelf is a dataset of files of four customers. Its exported methods are the activities.
type shelf struct{ passed []string }

func (*shelf) LoadPlan(context.Context, migration.SpecRef) (state.Plan, error) {
	return state.Plan{Datasets: []migration.Dataset{{Name: "attachments",
		Files: &migration.Files{Site: "dc1", Target: "prod", FencedBy: "orders"}}}}, nil
}

func (*shelf) ListFileCustomers(context.Context, state.ListFileCustomersRequest) (state.FileCustomers, error) {
	return state.FileCustomers{Customers: []string{"a", "b", "c", "d"}}, nil
}

func (*shelf) LoadCustomer(_ context.Context, req state.LoadCustomerRequest) (migration.CustomerSlice, error) {
	return migration.CustomerSlice{Customer: migration.Customer{ID: req.Customer}}, nil
}

func (s *shelf) CopyFiles(_ context.Context, req files.FilesRequest) (files.FilesResult, error) {
	s.passed = append(s.passed, req.Customer.ID)
	return files.FilesResult{}, nil
}

// A pass over more customers than a history has room for goes on, in the next run, with the next of
// them.
func TestAPassGoesOnAsNewBetweenTwoCustomers(t *testing.T) {
	s := &shelf{}
	in := Input{Dataset: "attachments"}
	for _, next := range []string{"b", "d"} {
		env := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
		env.RegisterWorkflow(Replication)
		env.RegisterActivity(s)
		env.SetContinueAsNewSuggested(true)
		env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil)
		env.ExecuteWorkflow(Replication, in)
		var renewed *workflow.ContinueAsNewError
		require.ErrorAs(t, env.GetWorkflowError(), &renewed)
		in = Input{}
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(renewed.Input, &in))
		require.Equal(t, next, in.State.Next)
		in.State.Yielded["c"] = "customer/p/c" // which is passed over
	}
	require.Equal(t, []string{"a", "b"}, s.passed)
}
