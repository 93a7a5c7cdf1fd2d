package migration

import (
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/batch"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/replication"
	"github.com/drover-migration/drover/workflows/roll"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/workload"
)

// rollPace is the least time for each batch of a roll call.
const rollPace = 200 * time.Millisecond

func (m *run) rollEvery() time.Duration {
	switch m.Phase {
	case migration.MigrationProvisioning, migration.MigrationReleasing, migration.MigrationSoak, migration.MigrationAborting:
		return max(roll.Often, time.Duration(len(m.Names))*rollPace)
	default:
		return 0
	}
}

// callRoll tells every batch what holds and asks the rest whether they run. What was terminated is
// started again, with what it had last reported; a workload that has failed is tried again by the
// same way.
func (m *run) callRoll(ctx workflow.Context) {
	word := m.word(ctx)
	for i, b := range m.plan.Batches { // none before the plan is read
		if i%chunk == chunk-1 {
			m.Flush(ctx)
		}
		m.callBatch(ctx, b, word)
	}
	m.callOutbox(ctx)
	if m.Phase == migration.MigrationAborting {
		return
	}
	for _, w := range m.plan.Workloads {
		if p, begun := m.Pieces[w.Name]; begun && p.Phase != migration.PieceReady {
			m.TellOr(ctx, migration.WorkloadID(m.Spec.Plan, w.Name), mail.SignalAsk, m.ask(), func(ctx workflow.Context) {
				if m.Pieces[w.Name].Phase != migration.PieceReady && m.rollEvery() > 0 {
					m.startWorkload(ctx, w.Name)
				}
			})
		}
	}
	for _, d := range m.plan.Datasets {
		if _, begun := m.Pieces[d.Name]; begun {
			m.TellOr(ctx, migration.ReplicationID(m.Spec.Plan, d.Name), mail.SignalAsk, m.ask(), func(ctx workflow.Context) {
				if m.rollEvery() > 0 {
					m.startReplication(ctx, d.Name)
				}
			})
		}
	}
}

// ask is what is asked of copies and workloads.
func (m *run) ask() mail.Ask { return mail.Ask{Belongs: mail.Belongs{Revision: m.Spec.Amended()}} }

// word is what holds for every batch.
func (m *run) word(ctx workflow.Context) mail.Pause {
	w := mail.Pause{Order: m.Stamp(ctx), Outbox: m.Outbox, Revision: m.Spec.Amended(), Observing: m.Observing}
	if m.Paused != nil {
		w.Paused, w.Reason = true, m.Paused.Reason
	}
	return w
}

// callBatch tells a batch what holds, and starts it again where it does not run.
func (m *run) callBatch(ctx workflow.Context, b migration.Batch, word mail.Pause) {
	if m.Closed[b.Name] {
		return
	}
	m.TellOr(ctx, migration.BatchID(m.Spec.Plan, b.Name), mail.SignalWord, word, func(ctx workflow.Context) {
		if !m.Closed[b.Name] && m.rollEvery() > 0 {
			was := m.Batches[b.Name]
			m.Note(ctx, "batch "+b.Name+" was terminated, and is started again",
				migration.Command{Reason: "it was " + string(was.Phase)})
			m.startBatch(ctx, b, &was)
			if m.Phase == migration.MigrationAborting {
				m.Tell(ctx, migration.BatchID(m.Spec.Plan, b.Name), mail.SignalAbort, *m.Aborted)
			}
		}
	})
}

// rollMovers calls the batches that have lately said that somebody moves, more often than the
// others: whoever calls the roll of those that move may have been terminated with them.
func (m *run) rollMovers(ctx workflow.Context) {
	movers := func() (out []migration.Batch) {
		for _, b := range m.plan.Batches {
			if m.Batches[b.Name].Counts.Moving > 0 && m.Orders[b.Name].Age(ctx) < roll.Lately {
				out = append(out, b)
			}
		}
		return out
	}
	m.Movers.Keep(ctx, func() time.Duration {
		if n := len(movers()); n > 0 && m.rollEvery() > 0 {
			return max(roll.Moving, time.Duration(n)*rollPace)
		}
		return 0
	}, func(ctx workflow.Context) {
		word := m.word(ctx)
		for _, b := range movers() {
			m.callBatch(ctx, b, word)
		}
		m.Flush(ctx)
	})
}

// start starts a child of this migration, or asks one that runs already where it stands.
func (m *run) start(ctx workflow.Context, id, summary string, wf, in any, attrs ...temporal.SearchAttributeUpdate) {
	if !roll.Start(ctx, m.Spec.Plan, id, summary, wf, in, attrs...) {
		m.Tell(ctx, id, mail.SignalAsk, mail.Ask{Report: true})
	}
}

func (m *run) startBatch(ctx workflow.Context, b migration.Batch, was *migration.BatchStatus) {
	m.start(ctx, migration.BatchID(m.Spec.Plan, b.Name), "batch "+b.Name, batch.Batch,
		batch.Input{Spec: m.Spec, Batch: b, Paused: m.Paused, Was: was, Incidents: m.Incidents[b.Name],
			Turn: slices.Index(m.Names, b.Name) < m.Started},
		status.AttrBatch.ValueSet(b.Name), status.AttrPhase.ValueSet(string(migration.BatchWaiting)),
		status.AttrWaiting.ValueSet(string(migration.WaitTurn)))
}

func (m *run) startWorkload(ctx workflow.Context, name string) {
	m.startPiece(ctx, name, migration.WorkloadID(m.Spec.Plan, name), "workload "+name, workload.Workload,
		workload.Input{Spec: m.Spec, Workload: name})
}

func (m *run) startReplication(ctx workflow.Context, dataset string) {
	m.startPiece(ctx, dataset, migration.ReplicationID(m.Spec.Plan, dataset), "replication of "+dataset, replication.Replication,
		replication.Input{Spec: m.Spec, Dataset: dataset})
}

// startPiece starts a workload or a dataset, which belongs to the roll from now on.
func (m *run) startPiece(ctx workflow.Context, name, id, summary string, wf, in any) {
	if _, ok := m.Pieces[name]; !ok {
		m.Pieces[name] = migration.PieceStatus{Name: name, Phase: migration.PieceProvisioning}
	}
	m.start(ctx, id, summary, wf, in, status.AttrPhase.ValueSet(string(migration.PieceProvisioning)))
}
