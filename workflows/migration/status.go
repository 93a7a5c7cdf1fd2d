package migration

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/status"
)

func (m *run) status() migration.MigrationStatus {
	s := migration.MigrationStatus{
		Plan: m.Spec.Plan, Revision: m.Spec.Revision, Digest: m.Spec.Digest, Phase: m.Phase, WaitingFor: m.Waiting, Reason: m.Reason,
		Since:  m.Since,
		Paused: m.Paused != nil, MayDo: m.mayDo(), Timeline: m.Timeline,
	}
	for _, name := range m.Names {
		b := m.Batches[name]
		b.Finalised, b.MayEnd = m.Ends[name], m.mayEnd(name) == nil
		s.Batches = append(s.Batches, b)
	}
	for _, w := range m.plan.Workloads {
		s.Workloads = append(s.Workloads, m.piece(w.Name))
	}
	for _, d := range m.plan.Datasets {
		s.Datasets = append(s.Datasets, m.piece(d.Name))
	}
	return s
}

func (m *run) piece(name string) migration.PieceStatus {
	p, ok := m.Pieces[name]
	if !ok {
		return migration.PieceStatus{Name: name, Phase: migration.PieceWaiting}
	}
	return p
}

func (m *run) mayDo() []string {
	return status.MayDo(m.allowed, migration.UpdatePause, migration.UpdateResume, migration.UpdateRollback, migration.UpdateAbort,
		migration.UpdateFinalise, migration.UpdateAmend)
}

// away counts the customers that are not for certain at home.
func (m *run) away() (n int) {
	for _, name := range m.Names {
		n += m.Batches[name].Counts.Away
	}
	return n
}

// skipped counts the customers that stay on premises by a person's word.
func (m *run) skipped() (n int) {
	for _, name := range m.Names {
		n += m.Batches[name].Counts.Skipped
	}
	return n
}

// unended counts the customers of batches that are not over.
func (m *run) unended() (n int) {
	for _, name := range m.Names {
		if !m.Closed[name] {
			n += m.Batches[name].Counts.Customers
		}
	}
	return n
}

// running says whether the migration takes commands still.
func (m *run) running() bool {
	switch m.Phase {
	case migration.MigrationDone, migration.MigrationFailed, migration.MigrationAborting, migration.MigrationAborted,
		migration.MigrationFinalising:
		return false
	}
	return m.Final == nil
}

// allowed refuses a command that would do nothing or mean something else than the operator thinks.
func (m *run) allowed(name string) error {
	running := m.running()
	switch name {
	case migration.UpdateAmend:
		if running && m.plan.Batches != nil && m.Phase != migration.MigrationAccepted && m.Phase != migration.MigrationPreflight {
			return nil
		}
	case migration.UpdatePause:
		if running && m.Paused == nil {
			return nil
		}
	case migration.UpdateResume:
		if why := m.stoppedBy(); running && m.Paused != nil && why != "" {
			return fmt.Errorf("migration %s stays paused: nobody sets out while this is so: %s", m.Spec.Plan, why)
		}
		if running && m.Paused != nil {
			return nil
		}
	case migration.UpdateRollback:
		if running && m.away() > 0 && !m.over() {
			return nil
		}
	case migration.UpdateAbort:
		if ended := m.ended(); running && len(ended) > 0 {
			return fmt.Errorf("the way back of %s has ended, and its customers stay on AWS: finalise the other batches too",
				strings.Join(ended, ", "))
		}
		if name := m.toEnd(); running && name != "" {
			return fmt.Errorf("the way back of %s is being ended, and has ended perhaps in one of its databases: "+
				"`drover status %s --batch %s` says what that waits for", name, m.Spec.Plan, name)
		}
		if running && m.plan.Batches != nil {
			return nil
		}
	case migration.UpdateFinalise:
		if n := m.unended(); running && n > 0 {
			return fmt.Errorf("%d customers have not ended their soak on AWS: `drover status %s` says whose, and until when", n,
				m.Spec.Plan)
		}
		if name := m.toEnd(); running && name != "" {
			return fmt.Errorf("batch %s is being finalised: wait until `drover status %s` says that it is", name, m.Spec.Plan)
		}
		if running && m.over() && !m.isPausedByHand() {
			return nil
		}
	}
	return m.notNow(name)
}

// isPausedByHand says whether a resume ends the pause. Where a dataset lets nobody move none does,
// and the way back may be ended all the same: it may be what the dataset has lost.
func (m *run) isPausedByHand() bool { return m.Paused != nil && m.stoppedBy() == "" }

// stoppedBy says which datasets let nobody move, and why; "": none.
func (m *run) stoppedBy() string {
	var words []string
	for _, name := range workflow.DeterministicKeys(m.Stopped) {
		if m.Stopped[name] {
			words = append(words, name+": "+m.Pieces[name].Detail)
		}
	}
	return strings.Join(words, "; ")
}

// notNow refuses a command that does not apply where the migration stands.
func (m *run) notNow(name string) error {
	paused := ""
	if m.Paused != nil {
		paused = " and paused"
	}
	return fmt.Errorf("migration %s is %s%s: %s does not apply", m.Spec.Plan, m.Phase, paused, name)
}

func (m *run) waitsFor() migration.Waiting {
	if m.Paused != nil {
		return migration.WaitResume
	}
	switch m.Phase {
	case migration.MigrationProvisioning:
		if m.Observing.Words != "" {
			return migration.WaitObserve
		}
		return migration.WaitData
	case migration.MigrationSoak:
		if m.over() {
			return migration.WaitOperator
		}
		return migration.WaitHealth
	}
	return migration.WaitNothing
}

// because is what keeps the migration from going on by itself: that it is paused, what has failed,
// or that the way back is somebody's to end.
func (m *run) because() string {
	if m.Paused != nil {
		return m.Paused.Reason
	}
	var failed []string
	if m.Observing.Words != "" {
		failed = append(failed, m.Observing.Words)
	}
	see := func(name string) {
		if p := m.Pieces[name]; p.Phase == migration.PieceFailed {
			failed = append(failed, fmt.Sprintf("%s failed and is tried again: %s", name, p.Detail))
		}
	}
	for _, d := range m.plan.Datasets {
		see(d.Name)
	}
	for _, w := range m.plan.Workloads {
		see(w.Name)
	}
	if m.over() {
		if m.Kept != "" {
			failed = append(failed, m.Kept)
		}
		failed = append(failed, "every soak is over: `drover finalise "+m.Spec.Plan+"` ends the way back for good")
	}
	return strings.Join(failed, "; ")
}

func (m *run) describe() string {
	var b strings.Builder
	if len(m.Names) > 0 {
		b.WriteString("| batch | phase | waits for | customers | waiting | moving | baking | on AWS | rolled back | held " +
			"|\n|---|---|---|---|---|---|---|---|---|---|\n")
		for _, name := range m.Names {
			s := m.Batches[name]
			n := s.Counts
			status.Line(&b, "| %s | %s | %s | %d | %d | %d | %d | %d | %d | %d |\n", s.Name, s.Phase, s.WaitingFor, n.Customers, n.Waiting,
				n.Moving, n.Baking, n.OnAWS, n.RolledBack, n.Held)
		}
	}
	for _, d := range m.plan.Datasets {
		p := m.piece(d.Name)
		status.Line(&b, "\n- dataset **%s**: %s %s", p.Name, p.Phase, p.Detail)
	}
	for _, w := range m.plan.Workloads {
		p := m.piece(w.Name)
		status.Line(&b, "\n- workload **%s**: %s %s", p.Name, p.Phase, p.Detail)
	}
	b.WriteString("\n")
	return b.String()
}
