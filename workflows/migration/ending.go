package migration

import (
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// endBatches ends the way back of one batch after the other, as they are asked for. It never
// returns. What it has done stands in the data, so that a new run does the rest.
func (m *run) endBatches(ctx workflow.Context) {
	for {
		if workflow.Await(ctx, func() bool { return m.plan.Batches != nil && m.toEnd() != "" }) != nil {
			return
		}
		name := m.toEnd()
		m.ending = true
		err := m.endBatch(ctx, name, m.Ends[name])
		m.ending = false
		if err == nil {
			m.Show(ctx)
			continue
		}
		m.Ends[name].Waits = work.Reason(err)
		m.Show(ctx)
		_ = work.Sleep(ctx, sourcesPause, "before the way back of batch "+name+" is ended again")
	}
}

// toEnd is the first batch of the plan whose way back is to end; "": none.
func (m *run) toEnd() string {
	for _, name := range m.Names {
		if e := m.Ends[name]; e != nil && e.Done.IsZero() {
			return name
		}
	}
	return ""
}

// ended are the batches whose way back has ended.
func (m *run) ended() (out []string) {
	for _, name := range m.Names {
		if e := m.Ends[name]; e != nil && !e.Cut.IsZero() {
			out = append(out, name)
		}
	}
	return out
}

// endBatch ends the way back of a batch: no Move of its customers leads home any more, what they
// write is not sent there, and the machines on premises that nobody else uses are shut down, unless
// tenants are on premises that the plan does not know. The guards on premises go on refusing them.
func (m *run) endBatch(ctx workflow.Context, name string, e *migration.Finalised) error {
	var end state.BatchEnd
	l := work.Question.In(ctx, "who and what batch "+name+" has for itself")
	err := workflow.ExecuteActivity(l, work.State.LoadEnd,
		state.LoadEndRequest{Spec: m.Spec, Batch: name, Ended: m.ended()}).Get(l, &end)
	if err != nil {
		return err
	}
	for _, d := range m.plan.Datasets {
		if d.Postgres == nil || len(end.Tenants[d.Name]) == 0 {
			continue
		}
		c := work.Survey.At(ctx, d.Site(), "end the way back of batch "+name+" in "+d.Name)
		req := postgres.EndWayBackRequest{Tenants: end.Tenants[d.Name],
			PostgresRef: m.refTo(d)}
		if err := workflow.ExecuteActivity(c, work.Postgres.EndWayBack, req).Get(c, nil); err != nil {
			return err
		}
	}
	if e.Cut.IsZero() {
		e.Cut = workflow.Now(ctx)
		m.Note(ctx, "the way back of batch "+name+" has ended", migration.Command{By: e.By, Reason: e.Reason})
	}
	e.VMs = nil
	if len(end.Workloads) > 0 {
		if e.Kept, err = m.servesOthers(ctx); err != nil {
			return err
		}
	}
	if e.Kept != "" {
		e.Done, e.Waits = workflow.Now(ctx), ""
		m.Note(ctx, fmt.Sprintf("batch %s is finalised; %s", name, e.Kept), migration.Command{By: e.By})
		return nil
	}
	var running []string
	for _, w := range m.plan.Workloads {
		if !w.OnVMs() || !slices.Contains(end.Workloads, w.Name) {
			continue
		}
		names, err := m.shutDown(ctx, w)
		e.VMs = append(e.VMs, names...)
		if err != nil {
			running = append(running, w.Name+": "+work.Reason(err))
		}
	}
	if len(running) > 0 {
		return fmt.Errorf("machines on premises still run, and are asked again each minute: %s", strings.Join(running, "; "))
	}
	e.Done, e.Waits = workflow.Now(ctx), ""
	m.Note(ctx, fmt.Sprintf("batch %s is finalised; %d machines on premises are off", name, len(e.VMs)), migration.Command{By: e.By})
	return nil
}

// servesOthers says why machines on premises stay on whose customers have all left: whoever is in
// no batch of the plan may be served by them too. "": nobody is.
func (m *run) servesOthers(ctx workflow.Context) (string, error) {
	var others []string
	for _, d := range m.plan.Datasets {
		if d.Postgres == nil {
			continue
		}
		var r postgres.Unplanned
		c := work.Survey.At(ctx, d.Site(), "who of "+d.Name+" is in no batch")
		req := m.refTo(d)
		if err := workflow.ExecuteActivity(c, work.Postgres.ListUnplanned, req).Get(c, &r); err != nil {
			return "", err
		}
		if r.All > len(r.Tenants) {
			others = append(others, fmt.Sprintf("tenants %v and %d more of %s", r.Tenants, r.All-len(r.Tenants), d.Name))
		} else if r.All > 0 {
			others = append(others, fmt.Sprintf("tenants %v of %s", r.Tenants, d.Name))
		}
	}
	if len(others) == 0 {
		return "", nil
	}
	return "machines on premises stay on until the plan is finalised: they may serve " + strings.Join(others, ", ") +
		", who are in no batch", nil
}

// mayEnd refuses to end the way back of a batch that is not through, or has ended it already.
func (m *run) mayEnd(name string) error {
	n := m.Batches[name].Counts
	switch {
	case !slices.Contains(m.Names, name):
		return fmt.Errorf("plan %s has no batch %q: `drover status %s` lists them", m.Spec.Plan, name, m.Spec.Plan)
	case m.Ends[name] != nil:
		return fmt.Errorf("batch %s was finalised for %s", name, m.Ends[name].By)
	case !m.running() || m.isPausedByHand() || m.Aborted != nil:
		return m.notNow(migration.UpdateFinalise)
	case !m.Closed[name]:
		return fmt.Errorf("batch %s has customers that have not ended their soak on AWS: `drover status %s --batch %s` says whose, and "+
			"until when", name, m.Spec.Plan, name)
	case m.skipped() > 0:
		return fmt.Errorf("%d customers of the plan are skipped: afterwards it could be neither finalised, while they are on premises, "+
			"nor aborted; put them into another batch with `drover amend`, and move them first", m.skipped())
	case n.Away < n.Customers:
		return fmt.Errorf("%d customers of batch %s are at home: nobody could move them to AWS afterwards", n.Customers-n.Away, name)
	}
	return nil
}
