package migration

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/check"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	observeSoon   = 5 * time.Second // before the second look at who writes; doubles
	observePause  = 5 * time.Minute // most between two looks
	observeRouted = time.Hour       // between two questions which addresses the plan routes
	observeFailed = 3               // looks in a row that fail before somebody is called
)

// observe waits until who writes the databases has been observed as the first batch requires it.
// Nothing of them is replicated before that, so that what is let through meanwhile harms nobody.
// Nothing else is brought up either: machines would run for nobody, and routes as they stand now
// would be of an earlier day. What an amendment requires holds from the next look on.
func (m *run) observe(ctx workflow.Context) error {
	var routed []string
	var asked time.Time
	for pause := observeSoon; !m.Observed; pause = min(2*pause, observePause) {
		want, databases := migration.Observes(m.plan.Batches), m.observable()
		if want == nil || len(databases) == 0 {
			break
		}
		if workflow.Now(ctx).Sub(asked) >= observeRouted {
			now, unseen := check.Routed(ctx, m.plan.Sites, m.plan.Workloads)
			if routed = union(routed, now); len(unseen) == 0 { // a site that does not answer is asked at the next look
				routed, asked = now, workflow.Now(ctx)
			}
		}
		missing, left, err := m.lookAtWriters(ctx, *want, databases, routed)
		if err != nil {
			return err
		}
		if missing.Words == "" && m.Observing.Words != "" {
			m.Note(ctx, "who writes the databases has been observed for "+want.For.Brief(), migration.Command{By: mail.ByDrover})
		}
		if missing.Words == "" {
			break
		}
		m.observing(ctx, missing)
		by := m.Spec.Revision
		m.lookAgain = false
		until := pause
		if left > 0 {
			until = min(until, left)
		}
		work.AwaitFor(ctx, until, "until the next look at who writes", func() bool {
			return m.Aborted != nil || m.lookAgain || m.Spec.Revision != by || m.mustRenew(ctx)
		})
		switch {
		case m.Aborted != nil:
			return errAborted
		case ctx.Err() != nil:
			return ctx.Err()
		case m.Renews(ctx, m.mustRenew):
			return m.anew(ctx)
		}
	}
	m.Observed = true
	m.observing(ctx, mail.Observing{})
	return nil
}

func (m *run) observable() (out []migration.Dataset) {
	for _, d := range m.plan.Datasets {
		if d.Postgres != nil {
			out = append(out, d)
		}
	}
	return out
}

// union has what either list has.
func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// lookAtWriters asks each database what its observation has come to, and says what is missing. left
// is the time until the longest of them is over.
func (m *run) lookAtWriters(ctx workflow.Context, want migration.Observe, databases []migration.Dataset,
	routed []string) (missing mail.Observing, left time.Duration, err error) {
	var since time.Time
	var unseen string // of the first that cannot be observed: the others are, all the same
	age, unresolved := want.For, 0
	for _, d := range databases {
		c, cancel := workflow.WithCancel(work.Observation.At(ctx, d.Site(), "who writes "+d.Name))
		var r postgres.ObserveResult
		looked := workflow.ExecuteActivity(c, work.Postgres.ObserveWriters, postgres.ObserveRequest{
			PostgresRef: m.refTo(d), Routed: routed})
		err := m.awaitUnlessAborted(ctx, looked.IsReady)
		cancel()
		if err != nil {
			free, _ := workflow.NewDisconnectedContext(ctx)
			_ = looked.Get(free, nil) // what it makes on premises is removed when it has ended
			return missing, 0, err
		}
		if err := looked.Get(ctx, &r); err != nil {
			unseen = cmp.Or(unseen, "who writes "+d.Name+" cannot be observed: "+work.ReasonAt(err, d.Site()))
			continue
		}
		if r.Over { // in an earlier run of the plan
			continue
		}
		unresolved += r.Unresolved
		if since.Before(r.Since) {
			since = r.Since
		}
		age = min(age, r.Age)
	}
	if unseen != "" {
		m.Unseen++
		tooOften := m.Unseen >= observeFailed
		return mail.Observing{Words: unseen, Person: tooOften, Over: tooOften}, 0, nil
	}
	m.Unseen = 0
	left = (want.For - age).D()
	return mail.Observing{Words: want.Wants(m.Spec.Plan, since, age, unresolved), Person: unresolved > want.Unresolved,
		Over: left <= 0}, left, nil
}

// observing says what is missing until replication is set up, also to the batch that requires it.
func (m *run) observing(ctx workflow.Context, missing mail.Observing) {
	if missing == m.Observing {
		return
	}
	m.Observing = missing
	m.stands(ctx, m.Phase, m.waitsFor(), m.because())
	m.Tell(ctx, migration.BatchID(m.Spec.Plan, m.Names[0]), mail.SignalWord, m.word(ctx))
}

// mayResolve refuses to resolve what nobody has named, or while no plan is at work.
func (m *run) mayResolve(cmd migration.Command) error {
	switch {
	case cmd.Finding == "":
		return fmt.Errorf("%s: name what was found", migration.UpdateResolve)
	case strings.TrimSpace(cmd.Reason) == "":
		return fmt.Errorf("%s: say why (reason): it is kept with the finding", migration.UpdateResolve)
	case !m.running() || m.Aborted != nil || m.plan.Batches == nil:
		return m.notNow(migration.UpdateResolve)
	}
	return nil
}

// resolve notes in the databases that a finding about a writer may be as it is.
func (m *run) resolve(ctx workflow.Context, cmd migration.Command) (string, error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	var in []string
	for _, d := range m.observable() {
		c := work.Examination.At(ctx, d.Site(), "resolve finding "+cmd.Finding+" of "+d.Name)
		var r postgres.ResolveResult
		err := workflow.ExecuteActivity(c, work.Postgres.ResolveObserved, postgres.ResolveRequest{
			PostgresRef: m.refTo(d),
			Finding:     cmd.Finding, By: cmd.By, Reason: cmd.Reason}).Get(c, &r)
		if err != nil {
			return "", refusal(work.ReasonAt(err, d.Site()))
		}
		if r.Found {
			in = append(in, d.Name)
		}
	}
	if len(in) == 0 {
		return "", refusal(fmt.Sprintf("no finding is called %s: `drover observe report %s` lists them", cmd.Finding, m.Spec.Plan))
	}
	slices.Sort(in)
	said := fmt.Sprintf("finding %s of %s is resolved", cmd.Finding, strings.Join(in, ", "))
	m.Note(ctx, said, cmd)
	m.lookAgain = true
	return said, nil
}
