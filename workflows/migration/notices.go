package migration

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/outbox"
	"github.com/drover-migration/drover/workflows/roll"
	"github.com/drover-migration/drover/workflows/status"
)

// openOutbox starts the plan's outbox, where the plan tells anybody of anything. One that runs
// already, since an earlier migration has ended with messages on their way, goes on by this plan.
func (m *run) openOutbox(ctx workflow.Context) {
	if len(m.plan.Told) > 0 {
		m.startOutbox(ctx)
		m.Post.Begin(m.Spec)
	}
}

// startOutbox starts an outbox. In the place of one that was terminated it has forgotten what was
// sent: the batches hear of it with the next roll call, and tell it what waits for somebody.
func (m *run) startOutbox(ctx workflow.Context) {
	now := workflow.Now(ctx)
	started := roll.Start(ctx, m.Spec.Plan, migration.OutboxID(m.Spec.Plan), "messages of "+m.Spec.Plan, outbox.Outbox,
		outbox.Input{Spec: m.Spec, From: now}, status.AttrPhase.ValueSet(string(migration.OutboxOpen)),
		status.AttrWaiting.ValueSet(string(migration.WaitNothing)))
	if started || m.Outbox == 0 {
		m.Outbox = now.UnixMilli()
	}
	m.Post.Again()
}

// callOutbox starts an outbox again that was terminated.
func (m *run) callOutbox(ctx workflow.Context) {
	if len(m.plan.Told) > 0 {
		m.TellOr(ctx, migration.OutboxID(m.Spec.Plan), mail.SignalAsk, mail.Ask{}, func(ctx workflow.Context) {
			if m.rollEvery() == 0 {
				return
			}
			m.startOutbox(ctx)
			if m.Asks != "" {
				m.Post.Add(m.pausedNotice(m.Since))
				m.Post.Send()
			}
		})
	}
}

// deliver tells the outbox what the migration has to tell. It never returns.
func (m *run) deliver(ctx workflow.Context) {
	if workflow.Await(ctx, func() bool { return m.plan.Batches != nil }) == nil { // the plan is read
		m.Post.Deliver(ctx, m.Spec.Plan, "", m.plan.Told)
	}
}

// noticePaused tells once that the migration waits to be resumed, however often it is paused.
func (m *run) noticePaused(ctx workflow.Context) {
	if m.Asks != "" {
		return
	}
	m.Asks = m.notice(ctx, migration.NoticePaused).ID
	m.Post.Add(m.pausedNotice(workflow.Now(ctx)))
	m.Post.Send()
}

func (m *run) pausedNotice(at time.Time) migration.Notice {
	return migration.Notice{ID: m.Asks, Kind: migration.NoticePaused, At: at, Reason: m.Paused.Reason}
}

func (m *run) noticeResumed() {
	if m.Asks != "" {
		m.Post.Settle(m.Asks)
		m.Post.Send()
		m.Asks = ""
	}
}

// lastNews tells that the migration has ended, and how.
func (m *run) lastNews(ctx workflow.Context) {
	if len(m.plan.Told) == 0 {
		return
	}
	n := m.notice(ctx, migration.NoticeEnded)
	if n.Reason = string(m.Phase); m.Reason != "" {
		n.Reason += ": " + m.Reason
	}
	m.Post.Add(n)
	m.Post.End(m.Phase)
	m.Post.Finish(ctx)
}

func (m *run) notice(ctx workflow.Context, kind migration.NoticeKind) migration.Notice {
	now := workflow.Now(ctx)
	return migration.Notice{ID: fmt.Sprintf("%s/%d", kind, now.UnixMilli()), Kind: kind, At: now}
}
