package worker_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	temporalclient "go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/worker"
	"github.com/drover-migration/drover/workflows/batch"
	"github.com/drover-migration/drover/workflows/mail"
)

// planOnly answers what a batch without customers asks.
type planOnly struct{}

func (*planOnly) LoadPlan(context.Context, migration.SpecRef) (state.Plan, error) {
	return state.Plan{}, nil
}

func (*planOnly) LoadTenants(context.Context, state.LoadTenantsRequest) (state.BatchTenants, error) {
	return state.BatchTenants{}, nil
}

// tell is a workflow that sends a batch its turn.
func tell(ctx workflow.Context, to string) error {
	return workflow.SignalExternalWorkflow(ctx, to, "", mail.SignalTurn, mail.Turn{}).Get(ctx, nil)
}

// trust is Temporal's dev server, and workers there.
type trust struct {
	temporal temporalclient.Client
	options  temporalclient.Options
}

func startTrust(t *testing.T) *trust {
	t.Helper()
	opts := temporalclient.Options{DataConverter: codec.DataConverter(), FailureConverter: codec.FailureConverter(),
		Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)), Namespace: "default"}
	dev, err := testsuite.StartDevServer(t.Context(), testsuite.DevServerOptions{
		ExistingPath: filepath.Join(tooltest.Dir(t, "bin/temporal"), "bin", "temporal"), LogLevel: "error", ClientOptions: &opts})
	require.NoError(t, err, "run `make setup`")
	t.Cleanup(func() { _ = dev.Stop() })
	opts.HostPort = dev.FrontendHostPort()
	w := sdkworker.New(dev.Client(), "of-the-test", sdkworker.Options{})
	w.RegisterWorkflow(tell)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	return &trust{dev.Client(), opts}
}

// work runs a worker with these keys until the answer is called.
func (s *trust) work(t *testing.T, keys *identity.Keys) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- worker.Serve(ctx, worker.Options{Client: s.options, Main: true, Identities: keys, Log: hclog.NewNullLogger()},
			func(temporalclient.Client, worker.Telemetry) worker.Activities {
				return worker.Activities{Main: []any{&planOnly{}}, Close: func() {}}
			})
	}()
	return func() { cancel(); require.NoError(t, <-done) }
}

func (s *trust) start(t *testing.T, id, name string, needs int) {
	t.Helper()
	in := batch.Input{Spec: migration.SpecRef{Plan: "shop"}, Batch: migration.Batch{Name: name, Approvals: needs}}
	_, err := s.temporal.ExecuteWorkflow(t.Context(), temporalclient.StartWorkflowOptions{ID: id, TaskQueue: migration.QueueMain},
		"Batch", in)
	require.NoError(t, err)
}

// cli runs Temporal's own command line.
func (s *trust) cli(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(tooltest.Dir(t, "bin/temporal"), "bin", "temporal"),
		append(args, "--address", s.options.HostPort)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *trust) status(t *testing.T, name string) migration.BatchStatus {
	t.Helper()
	got, err := client.New(s.temporal).Batch(t.Context(), "shop", name)
	require.NoError(t, err)
	return got
}

func holder(t *testing.T, a *identity.Authority, name string, rank migration.Rank) *identity.Holder {
	t.Helper()
	h, err := a.Hold(identity.Who{Name: name, Role: rank, How: "token", Expires: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	return h
}

// TestAnInventedNameIsRefused tries to give commands and to send signals under the names of others,
// with Temporal's own command line and client, against Temporal's dev server.
func TestAnInventedNameIsRefused(t *testing.T) {
	s := startTrust(t)
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	authority := identity.NewAuthority(key)
	stop := s.work(t, identity.NewKeys(public))
	canary, second := migration.BatchID("shop", "canary"), migration.BatchID("shop", "second")
	s.start(t, canary, "canary", 2)
	s.start(t, second, "second", 2)
	ann, bob := holder(t, authority, "ann", migration.Operator), holder(t, authority, "bob", migration.Operator)
	as := func(h *identity.Holder, cmd migration.Command) error {
		cmd.By = h.Who().Name
		_, err := client.New(s.temporal).As("default", h).Approve(t.Context(), "shop", "canary", cmd)
		return err
	}

	out, err := s.cli(t, "workflow", "update", "execute", "--workflow-id", canary, "--name", migration.UpdateApprove,
		"--input", `{"requestId":"r0","by":"ann"}`)
	require.Error(t, err, out)
	require.Contains(t, out, "it is not proved that ann gave this command: it is not signed")
	_, err = client.New(s.temporal).Approve(t.Context(), "shop", "canary", migration.Command{By: "ann"})
	require.ErrorContains(t, err, "it is not signed")
	require.ErrorIs(t, err, client.ErrRefused)

	require.NoError(t, as(ann, migration.Command{Reason: "CHG-1"}))
	require.ErrorContains(t, as(ann, migration.Command{}), "ann has approved batch canary already: another person must")
	require.ErrorContains(t, as(holder(t, authority, "vera", migration.Viewer), migration.Command{}),
		"vera is a viewer, who may not do this")
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	require.ErrorContains(t, as(holder(t, identity.NewAuthority(stranger), "bob", migration.Operator), migration.Command{}),
		"signed by nobody whom this worker trusts")

	// What Ann signed is in the history, for everybody who reads there.
	heard := s.accepted(t, canary)
	require.NotNil(t, heard.Proof)
	for name, change := range map[string]func(c *migration.Command){
		"under another name": func(c *migration.Command) { c.By = "bob" },
		"as a new request":   func(c *migration.Command) { c.RequestID = "r1" },
		"as it was":          func(*migration.Command) {},
	} {
		cmd := heard
		change(&cmd)
		to := canary
		if name == "as it was" {
			to = second // to which she did not give it
		}
		raw, err := json.Marshal(cmd)
		require.NoError(t, err)
		out, err := s.cli(t, "workflow", "update", "execute", "--workflow-id", to, "--name", migration.UpdateApprove, "--input",
			string(raw))
		require.Error(t, err, name)
		require.Contains(t, out, "its signature is for another command", name)
	}

	out, err = s.cli(t, "workflow", "signal", "--workflow-id", canary, "--name", mail.SignalTurn, "--input", `{}`)
	require.NoError(t, err, out) // Temporal takes every signal
	require.NoError(t, as(bob, migration.Command{}))
	got := s.status(t, "canary")
	require.Len(t, got.Approvals, 2)
	require.Equal(t, migration.BatchWaiting, got.Phase, "the signal that came before Bob's approval was not heard")
	require.Equal(t, migration.WaitTurn, got.WaitingFor)

	// Whoever replays this has another key, or none: what was accepted stays accepted, and what was
	// not heard is not heard.
	stop()
	stop = s.work(t, nil)
	got = s.status(t, "canary")
	require.Len(t, got.Approvals, 2)
	require.Equal(t, migration.BatchWaiting, got.Phase)
	_, err = client.New(s.temporal).Approve(t.Context(), "shop", "second", migration.Command{By: "ann"})
	require.NoError(t, err, "without keys a command is of whomever it names")

	s.tells(t, "migration/other", canary)
	s.tells(t, "my-own", canary)
	_, err = client.New(s.temporal).Approve(t.Context(), "shop", "second", migration.Command{By: "bob"})
	require.NoError(t, err)
	require.Equal(t, migration.BatchWaiting, s.status(t, "canary").Phase, "nor another plan's workflow, nor one of nobody's")
	s.tells(t, migration.MigrationID("shop"), canary)
	s.reaches(t, "canary", migration.BatchDone) // it has no customers

	// After a reset Temporal delivers the turn once more, and says no more who sent it.
	s.reset(t, canary)
	s.reaches(t, "canary", migration.BatchDone)
	stop()
}

// accepted is the command of the first update that a workflow took.
func (s *trust) accepted(t *testing.T, id string) (cmd migration.Command) {
	t.Helper()
	it := s.temporal.GetWorkflowHistory(t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for it.HasNext() {
		e, err := it.Next()
		require.NoError(t, err)
		if a := e.GetWorkflowExecutionUpdateAcceptedEventAttributes(); a != nil {
			require.NoError(t, s.options.DataConverter.FromPayloads(a.GetAcceptedRequest().GetInput().GetArgs(), &cmd))
			return cmd
		}
	}
	t.Fatal("no update was accepted")
	return cmd
}

// tells has a workflow of this id send a batch its turn.
func (s *trust) tells(t *testing.T, id, to string) {
	t.Helper()
	r, err := s.temporal.ExecuteWorkflow(t.Context(), temporalclient.StartWorkflowOptions{ID: id, TaskQueue: "of-the-test"}, tell, to)
	require.NoError(t, err)
	require.NoError(t, r.Get(t.Context(), nil))
}

func (s *trust) reaches(t *testing.T, name string, phase migration.BatchPhase) {
	t.Helper()
	require.Eventually(t, func() bool {
		got, err := client.New(s.temporal).Batch(t.Context(), "shop", name)
		return err == nil && got.Phase == phase
	}, 20*time.Second, 50*time.Millisecond)
}

// reset takes a workflow back to the task before it was given its turn.
func (s *trust) reset(t *testing.T, id string) {
	t.Helper()
	var last int64
	it := s.temporal.GetWorkflowHistory(t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for it.HasNext() {
		e, err := it.Next()
		require.NoError(t, err)
		if e.GetWorkflowExecutionSignaledEventAttributes().GetExternalWorkflowExecution().GetWorkflowId() == migration.MigrationID("shop") {
			break
		}
		if e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			last = e.GetEventId()
		}
	}
	_, err := s.temporal.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{Namespace: "default",
		WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: id}, Reason: "test", RequestId: "reset",
		WorkflowTaskFinishEventId: last})
	require.NoError(t, err)
}
