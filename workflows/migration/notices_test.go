package migration

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/outbox"
)

// telling plays a Migration of one batch that is under way for ten minutes, by a plan that tells
// of everything or of nothing. It notes what the outbox has heard, and when one was started.
type telling struct {
	*testing.T
	env     *testsuite.TestWorkflowEnvironment
	plan    state.Plan
	mu      sync.Mutex
	news    []mail.News
	outbox  int64 // the last word to the batch on it
	started []outbox.Input
	gone    bool // somebody has terminated the outbox
}

func newTelling(t *testing.T) *telling {
	t.Helper()
	p := &telling{T: t, env: patient(&testsuite.WorkflowTestSuite{}),
		plan: state.Plan{Batches: []migration.Batch{{Name: "wave", Customers: []string{"acme"}}}, Told: migration.NoticeKinds}}
	p.env.RegisterActivity(&library{})
	p.env.RegisterWorkflow(Migration)
	p.env.RegisterWorkflowWithOptions(func(ctx workflow.Context, in outbox.Input) error {
		p.started, p.gone = append(p.started, in), false
		ended := false
		mail.Listen(ctx, mail.SignalNews, "", func(_ workflow.Context, n mail.News) { p.news, ended = append(p.news, n), n.End != "" })
		return workflow.Await(ctx, func() bool { return ended })
	}, workflow.RegisterOptions{Name: "Outbox"})
	p.env.OnActivity("LoadPlan", mock.Anything, mock.Anything).Return(
		func(context.Context, migration.SpecRef) (state.Plan, error) { return p.plan, nil })
	p.env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(
		func(_, workflowID, _, _ string, arg any) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			switch x := arg.(type) {
			case mail.Pause:
				p.outbox = max(p.outbox, x.Outbox)
			case mail.News:
				if !p.gone {
					p.news = append(p.news, x)
				}
			}
			if p.gone && workflowID == migration.OutboxID("shop") {
				return new(temporal.UnknownExternalWorkflowExecutionError)
			}
			return nil
		})
	return p
}

func (p *telling) run() {
	p.Helper()
	st := newMigration(Input{}).State
	st.Spec.Plan, st.Names, st.Started, st.Resume, st.Phase = "shop", []string{"wave"}, 1, migration.MigrationReleasing,
		migration.MigrationReleasing
	st.Outbox = 1
	p.env.RegisterDelayedCallback(func() {
		p.env.SignalWorkflow(mail.SignalBatch, mail.BatchReport{Order: mail.Order{At: p.env.Now().UnixNano(), N: 2},
			Status: migration.BatchStatus{Name: "wave", Phase: migration.BatchDone}, Closed: true})
	}, 10*time.Minute)
	p.env.RegisterDelayedCallback(func() { finalise(p.T, p.env, migration.Command{RequestID: "end", By: "ann"}) }, 11*time.Minute)
	p.env.ExecuteWorkflow(Migration, Input{State: &st})
	require.True(p, p.env.IsWorkflowCompleted())
	require.NoError(p, p.env.GetWorkflowError())
}

func (p *telling) command(after time.Duration, name string) {
	p.env.RegisterDelayedCallback(func() {
		p.env.UpdateWorkflow(name, "", &testsuite.TestUpdateCallback{
			OnReject: func(err error) { require.NoError(p, err) }, OnAccept: func() {},
			OnComplete: func(_ any, err error) { require.NoError(p, err) },
		}, migration.Command{By: "ann", Reason: "they call"})
	}, after)
}

func (p *telling) heard() (out []string) {
	for _, n := range p.news {
		for _, x := range n.Notices {
			out = append(out, string(x.Kind)+": "+x.Reason)
		}
		for _, id := range n.Settled {
			kind, _, _ := strings.Cut(id, "/")
			out = append(out, "settled "+kind)
		}
		if n.End != "" {
			out = append(out, "end: "+string(n.End))
		}
	}
	return out
}

func TestAMigrationTellsThatItIsPausedAndHowItHasEnded(t *testing.T) {
	p := newTelling(t)
	p.command(time.Minute, migration.UpdatePause)
	p.command(2*time.Minute, migration.UpdateResume)
	p.run()
	require.Equal(t, []string{"paused: paused by ann: they call", "settled paused", "ended: done", "end: done"}, p.heard())
	require.Empty(t, p.started, "one runs")
	require.Equal(t, int64(1), p.outbox)
}

func TestAMigrationWhosePlanTellsNobodyHasNoOutbox(t *testing.T) {
	p := newTelling(t)
	p.plan.Told, p.gone = nil, true
	p.command(time.Minute, migration.UpdatePause)
	p.command(2*time.Minute, migration.UpdateResume)
	p.run()
	require.Empty(t, p.started)
}

func TestAnOutboxThatWasTerminatedIsStartedAgainAndToldWhatWaits(t *testing.T) {
	p := newTelling(t)
	p.command(time.Minute, migration.UpdatePause)
	p.env.RegisterDelayedCallback(func() { p.mu.Lock(); defer p.mu.Unlock(); p.gone = true }, 2*time.Minute)
	p.command(5*time.Minute, migration.UpdateResume)
	p.run()
	require.Len(t, p.started, 1)
	require.Equal(t, "shop", p.started[0].Spec.Plan)
	require.Equal(t, p.started[0].From.UnixMilli(), p.outbox, "the batches hear of it")
	require.Equal(t, []string{"paused: paused by ann: they call", "paused: paused by ann: they call", "settled paused", "ended: done",
		"end: done"}, p.heard())
	require.Equal(t, p.news[0].Notices[0].ID, p.news[1].Notices[0].ID)
}
