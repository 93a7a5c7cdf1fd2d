package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
)

func (m *migrationRun) rollEvery() time.Duration {
	switch m.Phase {
	case migration.PhaseProvisioning, migration.PhaseReleasing, migration.PhaseAborting:
		return rollCall
	case migration.PhaseSoak:
		if slices.ContainsFunc(m.Names, func(name string) bool {
			p := m.Batches[name].Phase
			return p == migration.PhaseCuttingOver || p == migration.PhaseTakingBack
		}) {
			return rollCall
		}
		return rollCallQuiet
	default:
		return 0
	}
}

// callRoll tells every batch what holds and asks the rest whether they run. What was terminated is started again, with what it had last
// reported; a workload that has failed is tried again by the same way.
func (m *migrationRun) callRoll(ctx workflow.Context) {
	word := pauseSignal{Order: m.next(ctx)}
	if m.Paused != nil {
		word.Paused, word.Reason = true, m.Paused.Reason
	}
	for _, b := range m.plan.Batches[:min(m.Started, len(m.plan.Batches))] { // none before the plan is read
		if m.Closed[b.Name] {
			continue
		}
		m.tellOr(ctx, migration.BatchID(m.Spec.Plan, b.Name), signalPause, word, func(ctx workflow.Context) {
			if !m.Closed[b.Name] && m.rollEvery() > 0 {
				was := m.Batches[b.Name]
				m.note(ctx, "batch "+b.Name+" was terminated, and is started again", migration.Command{Reason: "it was " + string(was.Phase)})
				m.startBatch(ctx, b, &was)
				if m.Phase == migration.PhaseAborting {
					m.tell(ctx, migration.BatchID(m.Spec.Plan, b.Name), signalAbort, *m.aborted)
				}
			}
		})
	}
	if m.Phase == migration.PhaseAborting {
		return
	}
	for _, w := range m.plan.Workloads {
		if p, begun := m.Pieces[w.Name]; begun && p.Phase != migration.PhaseReady {
			m.tellOr(ctx, migration.WorkloadID(m.Spec.Plan, w.Name), signalAsk, ask{}, func(ctx workflow.Context) {
				if m.Pieces[w.Name].Phase != migration.PhaseReady && m.rollEvery() > 0 {
					m.startWorkload(ctx, w.Name)
				}
			})
		}
	}
	for _, d := range m.plan.Datasets {
		if _, begun := m.Pieces[d.Name]; begun {
			m.tellOr(ctx, migration.ReplicationID(m.Spec.Plan, d.Name), signalAsk, ask{}, func(ctx workflow.Context) {
				if m.rollEvery() > 0 {
					m.startReplication(ctx, d.Name)
				}
			})
		}
	}
}

// start starts a child of this migration, or asks one that runs already where it stands.
func (m *migrationRun) start(ctx workflow.Context, id, summary string, wf, in any, attrs ...temporal.SearchAttributeUpdate) {
	if !startChild(ctx, m.Spec.Plan, id, summary, wf, in, attrs...) {
		m.tell(ctx, id, signalAsk, ask{Report: true})
	}
}

func (m *migrationRun) startBatch(ctx workflow.Context, b migration.Batch, was *migration.BatchStatus) {
	m.start(ctx, migration.BatchID(m.Spec.Plan, b.Name), "batch "+b.Name, Batch, BatchInput{Spec: m.Spec, Batch: b, Paused: m.Paused, Was: was, Incidents: m.Incidents[b.Name]},
		attrBatch.ValueSet(b.Name), attrPhase.ValueSet(string(migration.PhaseGate)), attrWaiting.ValueSet(string(migration.WaitNothing)))
}

func (m *migrationRun) startWorkload(ctx workflow.Context, name string) {
	m.startPiece(ctx, name, migration.WorkloadID(m.Spec.Plan, name), "workload "+name, Workload, WorkloadInput{Spec: m.Spec, Workload: name})
}

func (m *migrationRun) startReplication(ctx workflow.Context, dataset string) {
	m.startPiece(ctx, dataset, migration.ReplicationID(m.Spec.Plan, dataset), "replication of "+dataset, Replication, ReplicationInput{Spec: m.Spec, Dataset: dataset})
}

// startPiece starts a workload or a dataset, which belongs to the roll from now on.
func (m *migrationRun) startPiece(ctx workflow.Context, name, id, summary string, wf, in any) {
	if _, ok := m.Pieces[name]; !ok {
		m.Pieces[name] = migration.PieceStatus{Name: name, Phase: migration.PhaseProvisioning}
	}
	m.start(ctx, id, summary, wf, in, attrPhase.ValueSet(string(migration.PhaseProvisioning)))
}
