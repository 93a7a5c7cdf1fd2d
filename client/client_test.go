package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	temporalclient "go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/migration"
)

// namespace of the dev server.
const namespace = "default"

var (
	server temporalclient.Client
	quiet  = sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	dev, err := testsuite.StartDevServer(ctx, testsuite.DevServerOptions{
		ExistingPath: tooltest.Path("bin/temporal"),
		ClientOptions: &temporalclient.Options{Namespace: namespace, DataConverter: codec.DataConverter(),
			FailureConverter: codec.FailureConverter(), Logger: quiet},
		LogLevel: "error",
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "start Temporal's dev server from %s: %v (run `make setup`)\n", tooltest.Path("bin/temporal"), err)
		return 1
	}
	defer func() { _ = dev.Stop() }()
	server = dev.Client()
	if err := client.New(server).EnsureSearchAttributes(ctx, namespace); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	w := worker.New(server, migration.QueueMain, worker.Options{})
	w.RegisterWorkflowWithOptions(standInMigration, workflow.RegisterOptions{Name: migration.WorkflowMigration})
	w.RegisterWorkflowWithOptions(standInBatch, workflow.RegisterOptions{Name: "Batch"})
	w.RegisterWorkflowWithOptions(standInCustomer, workflow.RegisterOptions{Name: "Customer"})
	w.RegisterWorkflowWithOptions(standInWorkload, workflow.RegisterOptions{Name: "Workload"})
	w.RegisterWorkflowWithOptions(standInReplication, workflow.RegisterOptions{Name: "Replication"})
	w.RegisterActivity(standInCopy)
	w.RegisterActivityWithOptions(standInPrepare, activity.RegisterOptions{Name: "PreparePostgres"})
	w.RegisterWorkflowWithOptions(standInCheck, workflow.RegisterOptions{Name: migration.WorkflowCheck})
	if err := w.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer w.Stop()
	return m.Run()
}

// The workflows below answer as the product's do, and do nothing else: what is tested is the
// client's side of the talk.

func standInMigration(ctx workflow.Context, in migration.MigrationInput) error {
	status := migration.MigrationStatus{Plan: in.Spec.Plan, Phase: migration.MigrationReleasing}
	for _, b := range in.Spec.Batches {
		s := migration.BatchStatus{Name: b.Name, Phase: migration.BatchGate}
		switch b.Name {
		case "going back":
			s.Phase, s.Reason = migration.BatchTakingBack, "they call"
		case "taken back":
			s.Phase, s.Reason = migration.BatchTakenBack, "it was slow"
		case "finalised":
			s.Finalised = &migration.Finalised{By: "bob"}
		}
		status.Batches = append(status.Batches, s)
	}
	if in.Spec.Plan == "in-vain" {
		status.Workloads, status.Datasets = []migration.PieceStatus{{Name: "web"}, {Name: "api"}}, []migration.PieceStatus{{Name: "orders"},
			{Name: "stock", Phase: migration.PieceReady, Detail: "takes 2 customers in"}}
		preflight := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
			WorkflowID: migration.CheckID(in.Spec.Plan, migration.CheckPreflight)})
		workflow.ExecuteChildWorkflow(preflight, "Workload", migration.SiteQueue("dc9"))
	}
	if in.Spec.Plan == "as-of" {
		status.Datasets = []migration.PieceStatus{{Name: "orders", AsOf: reportedAsOf}, {Name: "files", AsOf: reportedAsOf}}
	}
	if err := statusQuery(ctx, func(migration.Page) (migration.MigrationStatus, error) {
		if strings.HasSuffix(in.Spec.Plan, "mute") {
			return status, errors.New("its history is of another version")
		}
		return status, nil
	}); err != nil {
		return err
	}
	done := false
	if err := handle(ctx, migration.UpdateAbort, func() error { return nil }, func(cmd migration.Command) {
		done = true
		status.Timeline = append(status.Timeline, migration.Event{What: "abort", By: cmd.By, Why: cmd.Reason})
	}); err != nil {
		return err
	}
	if err := handle(ctx, migration.UpdatePause, func() error { return nil },
		func(cmd migration.Command) {
			status.Paused, status.Reason = true, "paused by "+cmd.By+": "+cmd.Reason
			_ = workflow.UpsertTypedSearchAttributes(ctx,
				temporal.NewSearchAttributeKeyKeyword(migration.AttrWaitingFor).ValueSet(string(migration.WaitResume)))
		}); err != nil {
		return err
	}
	err := handle(ctx, migration.UpdateResume, func() error {
		if !status.Paused {
			return errors.New("the migration is not paused")
		}
		return nil
	}, func(migration.Command) { status.Paused = false })
	if err != nil {
		return err
	}
	return workflow.Await(ctx, func() bool { return done })
}

func standInBatch(ctx workflow.Context, customers int) error {
	status := migration.BatchStatus{Name: "canary", Phase: migration.BatchGate}
	err := statusQuery(ctx, func(p migration.Page) (migration.BatchStatus, error) {
		s := status
		for i := p.Offset; i < min(customers, p.Offset+p.Limit); i++ {
			s.Customers = append(s.Customers, migration.CustomerStatus{ID: fmt.Sprintf("c-%05d", i)})
		}
		if p.Offset+p.Limit < customers {
			s.Next = p.Offset + p.Limit
		}
		return s, nil
	})
	if err != nil {
		return err
	}
	if err := handle(ctx, migration.UpdateApprove, func() error { return nil }, func(cmd migration.Command) {
		status.Approvals = append(status.Approvals, migration.Event{By: cmd.By})
	}); err != nil {
		return err
	}
	return workflow.Await(ctx, func() bool { return false })
}

func standInCustomer(ctx workflow.Context, id string) error {
	if err := workflow.SetQueryHandler(ctx, migration.QueryStatus, func() (migration.CustomerStatus, error) {
		return migration.CustomerStatus{ID: id, Phase: migration.CustomerHeld, Home: migration.OnPrem}, nil
	}); err != nil {
		return err
	}
	return workflow.Await(ctx, func() bool { return false })
}

func standInCheck(_ workflow.Context, in migration.CheckInput) (migration.InventoryReport, error) {
	if in.Kind != migration.CheckInventory {
		return migration.InventoryReport{}, errors.New("unknown kind")
	}
	return migration.InventoryReport{Sites: []migration.SiteInventory{{Site: in.Spec.Sites[0].Name,
		VMs: []migration.VM{{Name: "web-01"}}}}}, nil
}

func statusQuery[T any](ctx workflow.Context, answer func(migration.Page) (T, error)) error {
	return workflow.SetQueryHandler(ctx, migration.QueryStatus, answer)
}

// handle takes commands as the product does: none twice, none that is late.
func handle(ctx workflow.Context, name string, validate func() error, apply func(migration.Command)) error {
	seen := map[string]bool{}
	return workflow.SetUpdateHandlerWithOptions(ctx, name,
		func(_ workflow.Context, cmd migration.Command) (migration.Accepted, error) {
			if !seen[cmd.RequestID] {
				apply(cmd)
			}
			seen[cmd.RequestID] = true
			return migration.Accepted{Message: name + " accepted"}, nil
		},
		workflow.UpdateHandlerOptions{Validator: func(ctx workflow.Context, cmd migration.Command) error {
			if err := cmd.Late(workflow.Now(ctx)); err != nil || seen[cmd.RequestID] {
				return err
			}
			return validate()
		}})
}

// spec is a plan of a test's own.
func spec(t *testing.T, customers int) *migration.Spec {
	t.Helper()
	s := &migration.Spec{Plan: strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")), Sites: []migration.Site{{Name: "dc1"}}}
	b := migration.Batch{Name: "canary"}
	for i := range customers {
		id := fmt.Sprintf("c-%05d", i)
		s.Customers = append(s.Customers, migration.Customer{ID: id})
		b.Customers = append(b.Customers, id)
	}
	s.Batches = []migration.Batch{b}
	return s
}

func start(t *testing.T, id, name string, args ...any) {
	t.Helper()
	_, err := server.ExecuteWorkflow(t.Context(), temporalclient.StartWorkflowOptions{ID: id, TaskQueue: migration.QueueMain}, name,
		args...)
	require.NoError(t, err)
}

func next(t *testing.T, err error) string {
	t.Helper()
	var p *client.Problem
	require.ErrorAs(t, err, &p)
	return p.Next
}

func TestASubmittedPlanIsFoundInTheList(t *testing.T) {
	c, s := client.New(server), spec(t, 2)
	got, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
	require.NoError(t, err)
	require.False(t, got.Already)
	require.Equal(t, migration.MigrationID(s.Plan), got.Workflow)

	require.EventuallyWithT(t, func(t *assert.CollectT) {
		plans, err := c.List(context.Background())
		require.NoError(t, err)
		var found bool
		for _, p := range plans {
			found = found || p.Plan == s.Plan && p.Phase == migration.MigrationAccepted && p.Execution == "Running"
		}
		require.True(t, found, "%+v", plans)
	}, 10*time.Second, 100*time.Millisecond)
}

func TestSubmittingTheSameAgainChangesNothing(t *testing.T) {
	c, s := client.New(server), spec(t, 2)
	first, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
	require.NoError(t, err)
	again, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "bob"})
	require.NoError(t, err)
	require.True(t, again.Already)
	require.Equal(t, first.Run, again.Run)
}

func TestAnotherContentUnderARunningNameIsRefusedWithWhatToDo(t *testing.T) {
	c := client.New(server)
	_, err := c.Submit(t.Context(), spec(t, 2), client.SubmitOptions{By: "ann"})
	require.NoError(t, err)
	_, err = c.Submit(t.Context(), spec(t, 3), client.SubmitOptions{By: "ann"})
	require.ErrorIs(t, err, client.ErrAlreadyRunning)
	require.Contains(t, next(t, err), "drover abort")
}

// A migration that ended otherwise than done or aborted leaves customers that go on by what they
// were told.
func TestAnotherContentIsRefusedWhileCustomersWorkByTheFormer(t *testing.T) {
	c, s := client.New(server), spec(t, 2)
	first, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
	require.NoError(t, err)
	customer, err := server.ExecuteWorkflow(t.Context(), temporalclient.StartWorkflowOptions{
		ID: migration.CustomerID(s.Plan, "acme"), TaskQueue: migration.QueueMain,
		TypedSearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword(migration.AttrPlan).ValueSet(s.Plan)),
	}, "Customer", "acme")
	require.NoError(t, err)
	require.NoError(t, server.TerminateWorkflow(t.Context(), first.Workflow, first.Run, "test"))

	other := spec(t, 3)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		n, err := server.CountWorkflow(context.Background(),
			&workflowservice.CountWorkflowExecutionsRequest{Query: "WorkflowId = '" + customer.GetID() + "'"})
		require.NoError(t, err)
		require.EqualValues(t, 1, n.GetCount())
	}, 10*time.Second, 100*time.Millisecond)
	_, err = c.Submit(t.Context(), other, client.SubmitOptions{By: "ann"})
	require.ErrorIs(t, err, client.ErrAlreadyRunning)
	require.ErrorContains(t, err, "1 workflows of this plan still work by the content submitted before")
	again, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
	require.NoError(t, err, "the same content")
	require.NoError(t, server.TerminateWorkflow(t.Context(), again.Workflow, again.Run, "test"))
	require.NoError(t, server.TerminateWorkflow(t.Context(), customer.GetID(), "", "test"))
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		_, err := c.Submit(context.Background(), other, client.SubmitOptions{By: "ann"})
		require.NoError(t, err)
	}, 10*time.Second, 100*time.Millisecond)
}

func TestAnEndedPlanMayBeSubmittedAgain(t *testing.T) {
	c, s := client.New(server), spec(t, 2)
	first, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
	require.NoError(t, err)
	_, err = c.Abort(t.Context(), s.Plan, migration.Command{By: "ann", Reason: "wrong list"})
	require.NoError(t, err)
	require.NoError(t, server.GetWorkflow(t.Context(), first.Workflow, first.Run).Get(t.Context(), nil))

	got, err := c.Migration(t.Context(), s.Plan) // an ended workflow still answers
	require.NoError(t, err)
	require.Equal(t, "wrong list", got.Timeline[0].Why)
	execution, err := c.Execution(t.Context(), client.Aim{Plan: s.Plan})
	require.NoError(t, err)
	require.Equal(t, "Completed", execution)
	_, err = c.Pause(t.Context(), s.Plan, migration.Command{By: "ann"})
	require.ErrorIs(t, err, client.ErrRefused)
	require.ErrorContains(t, err, "it has ended (Completed)")

	second, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
	require.NoError(t, err)
	require.False(t, second.Already)
	require.NotEqual(t, first.Run, second.Run)
}

// given is what a run of a migration was started with.
func given(t *testing.T, of client.Submitted) (in migration.MigrationInput) {
	t.Helper()
	events := server.GetWorkflowHistory(t.Context(), of.Workflow, of.Run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	first, err := events.Next()
	require.NoError(t, err)
	require.NoError(t, codec.DataConverter().FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in))
	return in
}

func TestWhatPeopleWantedOfATerminatedMigrationHoldsOnWhenItsPlanIsSubmittedAgain(t *testing.T) {
	t.Run("as a worker says it", func(t *testing.T) {
		c, s := client.New(server), spec(t, 2)
		for _, name := range []string{"going back", "taken back", "finalised"} {
			s.Batches = append(s.Batches, migration.Batch{Name: name})
		}
		first, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
		require.NoError(t, err)
		require.Nil(t, given(t, first).Former)
		_, err = c.Pause(t.Context(), s.Plan, migration.Command{By: "ann", Reason: "month end"})
		require.NoError(t, err)
		require.NoError(t, server.TerminateWorkflow(t.Context(), first.Workflow, first.Run, "a slip"))
		second, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "bob"})
		require.NoError(t, err)
		require.Equal(t, &migration.Former{Paused: "paused by ann: month end",
			Back: map[string]string{"going back": "they call", "taken back": "it was slow"},
			Ends: map[string]*migration.Finalised{"finalised": {By: "bob"}}}, given(t, second).Former)
	})
	t.Run("and while no worker says it, nothing is started", func(t *testing.T) {
		c, s := client.New(server), spec(t, 2)
		was := worker.New(server, "was", worker.Options{})
		was.RegisterWorkflowWithOptions(standInMigration, workflow.RegisterOptions{Name: migration.WorkflowMigration})
		require.NoError(t, was.Start())
		run, err := server.ExecuteWorkflow(t.Context(), temporalclient.StartWorkflowOptions{ID: migration.MigrationID(s.Plan),
			TaskQueue: "was"}, migration.WorkflowMigration, migration.MigrationInput{Spec: s, By: "ann"})
		require.NoError(t, err)
		_, err = c.Pause(t.Context(), s.Plan, migration.Command{By: "ann", Reason: "month end"})
		require.NoError(t, err)
		was.Stop()
		require.NoError(t, server.TerminateWorkflow(t.Context(), run.GetID(), run.GetRunID(), "a slip"))
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = c.Submit(short, s, client.SubmitOptions{By: "bob"})
		require.ErrorIs(t, err, client.ErrUnreachable)
		require.ErrorContains(t, err, "its migration ended (Terminated), and no worker answered in time to say what people wanted of it")
		require.Contains(t, next(t, err), "start `drover worker`")
		execution, err := c.Execution(t.Context(), client.Aim{Plan: s.Plan})
		require.NoError(t, err)
		require.Equal(t, "Terminated", execution)
	})
	t.Run("and where a worker cannot read its history, the plan starts paused", func(t *testing.T) {
		c, s := client.New(server), spec(t, 2)
		s.Plan = "mute"
		first, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
		require.NoError(t, err)
		_, err = c.Resume(t.Context(), s.Plan, migration.Command{By: "ann"})
		require.ErrorIs(t, err, client.ErrRefused, "a worker has begun it")
		require.NoError(t, server.TerminateWorkflow(t.Context(), first.Workflow, first.Run, "a slip"))
		second, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "bob"})
		require.NoError(t, err)
		require.Contains(t, given(t, second).Former.Paused, "its history is of another version. Roll back the batches that they were "+
			"taking back, then resume")
	})
	t.Run("and as it was handed on to one that no worker began", func(t *testing.T) {
		c, s := client.New(server), spec(t, 2)
		was := migration.MigrationInput{Spec: s, By: "ann", Former: &migration.Former{Back: map[string]string{"canary": "they call"}}}
		run, err := server.ExecuteWorkflow(t.Context(), temporalclient.StartWorkflowOptions{ID: migration.MigrationID(s.Plan),
			TaskQueue: "nobody"}, migration.WorkflowMigration, was)
		require.NoError(t, err)
		require.NoError(t, server.TerminateWorkflow(t.Context(), run.GetID(), run.GetRunID(), "a slip"))
		second, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "bob"})
		require.NoError(t, err)
		require.Equal(t, was.Former, given(t, second).Former)
	})
	t.Run("and nothing of one that came to its own end", func(t *testing.T) {
		c, s := client.New(server), spec(t, 2)
		s.Batches = append(s.Batches, migration.Batch{Name: "going back"})
		first, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
		require.NoError(t, err)
		_, err = c.Abort(t.Context(), s.Plan, migration.Command{By: "ann", Reason: "wrong list"})
		require.NoError(t, err)
		require.NoError(t, server.GetWorkflow(t.Context(), first.Workflow, first.Run).Get(t.Context(), nil))
		second, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
		require.NoError(t, err)
		require.Nil(t, given(t, second).Former)
	})
}

func TestStatusReadsEveryPageOfABatch(t *testing.T) {
	c, s := client.New(server), spec(t, 1234)
	_, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
	require.NoError(t, err)
	got, err := c.Status(t.Context(), s.Plan)
	require.NoError(t, err, "a batch that has not started is not an error")
	require.Equal(t, migration.MigrationReleasing, got.Phase)
	require.Empty(t, got.Batches[0].Customers)

	start(t, migration.BatchID(s.Plan, "canary"), "Batch", 1234)
	got, err = c.Status(t.Context(), s.Plan)
	require.NoError(t, err)
	require.Len(t, got.Batches[0].Customers, 1234)
	require.Equal(t, "c-01233", got.Batches[0].Customers[1233].ID)
}

func TestARepeatedRequestIDIsOneCommand(t *testing.T) {
	c := client.New(server)
	start(t, migration.BatchID(t.Name(), "canary"), "Batch", 1)
	cmd := migration.Command{RequestID: "one-request", By: "ann"}
	for range 3 {
		got, err := c.Approve(t.Context(), t.Name(), "canary", cmd)
		require.NoError(t, err)
		require.Equal(t, "approve accepted", got.Message)
	}
	b, err := c.Batch(t.Context(), t.Name(), "canary")
	require.NoError(t, err)
	require.Len(t, b.Approvals, 1)

	_, err = c.Approve(t.Context(), t.Name(), "canary", migration.Command{By: "bob"})
	require.NoError(t, err)
	b, err = c.Batch(t.Context(), t.Name(), "canary")
	require.NoError(t, err)
	require.Len(t, b.Approvals, 2)
}

func TestARefusalCarriesTheWorkflowsOwnWords(t *testing.T) {
	c, s := client.New(server), spec(t, 1)
	_, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
	require.NoError(t, err)
	_, err = c.Resume(t.Context(), s.Plan, migration.Command{By: "ann"})
	require.ErrorIs(t, err, client.ErrRefused)
	require.EqualError(t, err, "resume plan "+s.Plan+": the migration is not paused")
	require.Contains(t, next(t, err), "drover status "+s.Plan)
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	c, ctx := client.New(server), t.Context()
	_, err := c.Status(ctx, "nowhere")
	require.ErrorIs(t, err, client.ErrNotFound)
	require.EqualError(t, err, `read the status of plan nowhere: no plan "nowhere" was submitted`)
	_, err = c.Customer(ctx, "nowhere", "acme")
	require.ErrorIs(t, err, client.ErrNotFound)
	_, err = c.Approve(ctx, "nowhere", "canary", migration.Command{By: "ann"})
	require.ErrorIs(t, err, client.ErrNotFound)
	_, err = c.Rollback(ctx, client.Aim{Plan: "nowhere"}, migration.Command{By: "ann"})
	require.ErrorIs(t, err, client.ErrNotFound)
}

func TestAMistypedNameIsAnsweredWithTheOneThatIsNear(t *testing.T) {
	c, s := client.New(server), spec(t, 1)
	_, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
	require.NoError(t, err)
	_, err = server.ExecuteWorkflow(t.Context(), temporalclient.StartWorkflowOptions{
		ID: migration.CustomerID(s.Plan, "fjord"), TaskQueue: migration.QueueMain,
		TypedSearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword(migration.AttrPlan).ValueSet(s.Plan)),
	}, "Customer", "fjord")
	require.NoError(t, err)
	listed := func(what string) {
		require.EventuallyWithT(t, func(t *assert.CollectT) {
			n, err := server.CountWorkflow(context.Background(), &workflowservice.CountWorkflowExecutionsRequest{Query: "WorkflowId = '" +
				what + "'"})
			require.NoError(t, err)
			require.EqualValues(t, 1, n.GetCount())
		}, 10*time.Second, 100*time.Millisecond)
	}
	listed(migration.MigrationID(s.Plan))
	listed(migration.CustomerID(s.Plan, "fjord"))

	for name, x := range map[string]struct {
		ask       func() error
		why, next string
	}{
		"a plan": {func() error { _, err := c.Status(t.Context(), s.Plan+"x"); return err }, `no plan "` + s.Plan +
			`x" was submitted`, `did you mean "` + s.Plan + `"?`},
		"a batch": {func() error { _, err := c.Batch(t.Context(), s.Plan, "canry"); return err }, `the plan has no batch "canry"`,
			`did you mean "canary"?`},
		"no batch": {func() error { _, err := c.Batch(t.Context(), s.Plan, "week-49"); return err }, `the plan has no batch "week-49"`,
			"list the batches with `drover status " + s.Plan},
		"an early": {func() error { _, err := c.Batch(t.Context(), s.Plan, "canary"); return err }, "the batch has not started",
			"see what goes before it"},
		"a customer": {func() error { _, err := c.Hold(t.Context(), s.Plan, "Fjrod", migration.Command{By: "ann"}); return err },
			`the plan has no customer "Fjrod"`, `did you mean "fjord"?`},
	} {
		t.Run(name, func(t *testing.T) {
			err := x.ask()
			require.ErrorIs(t, err, client.ErrNotFound)
			require.ErrorContains(t, err, x.why)
			require.Contains(t, next(t, err), x.next)
		})
	}
}

func TestANamespaceThatDoesNotExistIsSaidToBeMissingAndNotThePlan(t *testing.T) {
	elsewhere, err := temporalclient.NewClientFromExistingWithContext(t.Context(), server, temporalclient.Options{Namespace: "prod",
		Logger: quiet})
	require.NoError(t, err)
	_, err = client.New(elsewhere).Status(t.Context(), "orders")
	require.ErrorIs(t, err, client.ErrNotFound)
	require.Contains(t, next(t, err), "TEMPORAL_NAMESPACE")
}

func TestACustomerIsReadByItsID(t *testing.T) {
	start(t, migration.CustomerID(t.Name(), "acme"), "Customer", "acme")
	got, err := client.New(server).Customer(t.Context(), t.Name(), "acme")
	require.NoError(t, err)
	require.Equal(t, migration.CustomerStatus{ID: "acme", Phase: migration.CustomerHeld, Home: migration.OnPrem}, got)
}

func TestAnInventoryIsAnsweredByTheWorkers(t *testing.T) {
	got, err := client.New(server).Inventory(t.Context(), spec(t, 1))
	require.NoError(t, err)
	require.Equal(t, "web-01", got.Sites[0].VMs[0].Name)
}

func TestAWorkerThatDoesNotAnswerIsUnreachable(t *testing.T) {
	_, err := server.ExecuteWorkflow(t.Context(), temporalclient.StartWorkflowOptions{
		ID: migration.MigrationID(t.Name()), TaskQueue: "nobody-polls-this",
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	}, migration.WorkflowMigration, migration.MigrationInput{Spec: spec(t, 1)})
	require.NoError(t, err)
	c := client.New(server)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = c.Migration(ctx, t.Name())
	require.ErrorIs(t, err, client.ErrUnreachable)
	require.Contains(t, next(t, err), "drover worker")
}

func TestACommandThatNoWorkerTookInTimeIsWithdrawn(t *testing.T) {
	plan := fmt.Sprintf("%s-%d", spec(t, 1).Plan, time.Now().UnixNano())
	queue := "nobody-polls-yet-" + plan
	_, err := server.ExecuteWorkflow(t.Context(), temporalclient.StartWorkflowOptions{ID: migration.MigrationID(plan), TaskQueue: queue},
		migration.WorkflowMigration, migration.MigrationInput{Spec: spec(t, 1)})
	require.NoError(t, err)
	c := client.New(server)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = c.Pause(ctx, plan, migration.Command{By: "ann", RequestID: "one-request"})
	require.ErrorIs(t, err, client.ErrUnreachable)
	require.ErrorContains(t, err, "the command is withdrawn, and a worker that comes after")
	require.Contains(t, next(t, err), "`drover status "+plan+"` shows whether one took it")

	w := worker.New(server, queue, worker.Options{})
	w.RegisterWorkflowWithOptions(standInMigration, workflow.RegisterOptions{Name: migration.WorkflowMigration})
	require.NoError(t, w.Start())
	defer w.Stop()
	_, err = c.Resume(t.Context(), plan, migration.Command{By: "ann"})
	require.ErrorContains(t, err, "the migration is not paused", "what was asked before the worker came is not carried out")

	_, err = c.Pause(t.Context(), plan, migration.Command{By: "ann", RequestID: "one-request"})
	require.NoError(t, err, "asked again it is, by the same request id too")
	got, err := c.Migration(t.Context(), plan)
	require.NoError(t, err)
	require.True(t, got.Paused)
}

func TestACommandForACustomerThatWasTerminatedSaysThatItIsStartedAgain(t *testing.T) {
	c, s := client.New(server), spec(t, 1)
	first, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
	require.NoError(t, err)
	id := migration.CustomerID(s.Plan, "acme")
	start(t, id, "Customer", "acme")
	require.NoError(t, server.TerminateWorkflow(t.Context(), id, "", "test"))
	execution, err := c.Execution(t.Context(), client.Aim{Plan: s.Plan, Customer: "acme"})
	require.NoError(t, err)
	require.Equal(t, "Terminated", execution)

	roll := func() error {
		_, err := c.Rollback(t.Context(), client.Aim{Plan: s.Plan, Customer: "acme"}, migration.Command{By: "ann", Reason: "sick"})
		require.ErrorIs(t, err, client.ErrRefused)
		require.ErrorContains(t, err, "it has ended (Terminated)")
		return err
	}
	require.Contains(t, next(t, roll()), "it is started again within half a minute")
	require.NoError(t, server.TerminateWorkflow(t.Context(), first.Workflow, first.Run, "test"))
	require.Contains(t, next(t, roll()), "submit the plan again, then repeat the command")
}

func TestRegisteringSearchAttributesMayBeRepeated(t *testing.T) {
	require.NoError(t, client.New(server).EnsureSearchAttributes(t.Context(), namespace))
}

func TestWhatWasSubmittedIsReadWithoutAWorker(t *testing.T) {
	c, s := client.New(server), spec(t, 3)
	_, err := c.Submit(t.Context(), s, client.SubmitOptions{By: "ann"})
	require.NoError(t, err)
	got, err := c.Spec(t.Context(), s.Plan)
	require.NoError(t, err)
	s.Revision = max(s.Revision, 1)
	require.Equal(t, s, got)
	_, err = c.Spec(t.Context(), "nope")
	require.ErrorIs(t, err, client.ErrNotFound)
}
