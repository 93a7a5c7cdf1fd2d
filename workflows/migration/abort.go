package migration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/compute"
	"github.com/drover-migration/drover/activities/homes"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/customer"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
	"github.com/drover-migration/drover/workflows/workload"
)

const (
	recordsAtOnce = 1000             // home records that one activity reads
	recallAtOnce  = 10               // customers that had finished, and come home at a time
	recallPause   = 10 * time.Second // between two looks at who of them is on AWS
	endsAtOnce    = time.Minute      // in which customers end who are at home
)

// giveUp is abort, and says where that failed.
func (m *run) giveUp(ctx workflow.Context) error {
	err := m.abort(ctx)
	if err != nil && !workflow.IsContinueAsNewError(err) {
		m.Set(ctx, migration.MigrationFailed, migration.WaitNothing, work.Reason(err))
	}
	return err
}

// abort brings every customer home, and then removes what the migration made: nobody depends on it
// any more. What stays is said. Where it waits for people its history may grow too long: it goes on
// in a new one from the start, and finds done what is.
func (m *run) abort(ctx workflow.Context) error {
	if err := m.load(ctx); err != nil {
		return err
	}
	because := "aborted by " + m.Aborted.By + ": " + m.Aborted.Reason
	if m.Phase != migration.MigrationAborting {
		m.Set(ctx, migration.MigrationAborting, migration.WaitNothing, because)
		if m.roaming() > 0 {
			m.takeBack(ctx, *m.Aborted)
		}
	}
	if err := m.bringHome(ctx); err != nil {
		return err
	}
	m.tellBatches(ctx, mail.SignalAbort, *m.Aborted)
	if err := m.awaitEnds(ctx); err != nil {
		return err
	}
	if err := m.recall(ctx); err != nil {
		return err
	}
	// It refuses while anybody's data says AWS, whatever this migration knows: nothing has been
	// stopped or removed then.
	if err := m.restoreRoutes(ctx); err != nil {
		return err
	}
	if err := workflow.Await(ctx, m.schemasRest); err != nil {
		return err
	}
	m.stop(ctx)
	if err := m.restoreRoutes(ctx); err != nil { // what was launching may have made its target group anew
		return err
	}
	kept, err := m.remove(ctx)
	if err != nil {
		return err
	}
	for _, what := range kept {
		m.Note(ctx, "stays: "+what, migration.Command{By: mail.ByDrover})
	}
	m.Set(ctx, migration.MigrationAborted, migration.WaitNothing, strings.Join(append([]string{because}, kept...), "; it stays: "))
	return nil
}

// awaitEnds waits until every customer has ended. Those at home do so at once, but for one whose
// database does not answer: for that alone the wait goes on in a new history.
func (m *run) awaitEnds(ctx workflow.Context) error {
	begun := workflow.Now(ctx)
	lasts := func(ctx workflow.Context) bool { return workflow.Now(ctx).Sub(begun) > endsAtOnce && m.mustRenew(ctx) }
	return m.orRenewIf(ctx, lasts, workflow.Await, func() bool { return m.closed(m.Names) })
}

// roaming counts the customers that are not for certain at home and whose workflows bring them.
func (m *run) roaming() (n int) {
	for _, name := range m.Names {
		n += m.Batches[name].Counts.Away - m.Batches[name].Counts.Finished
	}
	return n
}

// bringHome waits until the batches have taken back who is on AWS or on the way there. One that
// cannot go back is a person's to look at.
func (m *run) bringHome(ctx workflow.Context) error {
	for {
		n := m.roaming()
		if n == 0 {
			return nil
		}
		m.Set(ctx, migration.MigrationAborting, migration.WaitData, fmt.Sprintf("aborted by %s; %d customers come home first: one that "+
			"is held on AWS waits for `drover rollback %s --customer ID`", m.Aborted.By, n, m.Spec.Plan))
		if err := m.orRenew(ctx, workflow.Await, func() bool { return m.roaming() != n }); err != nil {
			return err
		}
	}
}

// recall brings home who had ended the soak on AWS: replication still stands, and loses nothing. It
// asks the data, and goes on until that has nobody on AWS.
func (m *run) recall(ctx workflow.Context) error {
	for {
		away, err := m.onAWS(ctx)
		if err != nil || len(away) == 0 {
			return err
		}
		m.Set(ctx, migration.MigrationAborting, migration.WaitData, fmt.Sprintf("aborted by %s; %d customers that had finished on "+
			"AWS come home: %s", m.Aborted.By, len(away), strings.Join(away[:min(len(away), recallAtOnce)], ", ")))
		coming := 0
		for _, id := range away {
			if err := m.orRenew(ctx, workflow.Await, func() bool { return coming < recallAtOnce }); err != nil {
				return err
			}
			coming++
			f := m.startRecall(ctx, id)
			workflow.Go(ctx, func(ctx workflow.Context) {
				if err := f.Get(ctx, nil); err != nil { // it runs already, or was terminated: the data says who is left
					workflow.GetLogger(ctx).Warn("a customer that had finished did not come home", "error", err)
				}
				coming--
			})
		}
		if err := m.orRenew(ctx, workflow.Await, func() bool { return coming == 0 }); err != nil {
			return err
		}
		if err := work.Sleep(ctx, recallPause, "before the data is asked who is on AWS"); err != nil {
			return err
		}
		if m.Renews(ctx, m.mustRenew) {
			return m.anew(ctx)
		}
	}
}

func (m *run) startRecall(ctx workflow.Context, id string) workflow.Future {
	in := customer.Input{Spec: m.Spec, ID: id, Recall: m.Aborted}
	for _, b := range m.plan.Batches {
		if slices.Contains(b.Customers, id) {
			in.Batch = b.Name
		}
	}
	c := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: migration.CustomerID(m.Spec.Plan, id), ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, StaticSummary: "customer " + id + " comes home",
		TypedSearchAttributes: temporal.NewSearchAttributes(status.AttrPlan.ValueSet(m.Spec.Plan), status.AttrCustomer.ValueSet(id),
			status.AttrBatch.ValueSet(in.Batch)),
	})
	return workflow.ExecuteChildWorkflow(c, customer.Customer, in)
}

// onAWS are the customers that some database says are on AWS.
func (m *run) onAWS(ctx workflow.Context) (out []string, err error) {
	homes, err := m.homes(ctx)
	if err != nil {
		return nil, err
	}
	records, err := m.records(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range m.plan.Stateless {
		if records[id].Side == migration.AWS {
			out = append(out, id)
		}
	}
	for _, d := range m.plan.Datasets {
		var away []int64
		for _, t := range m.plan.Tenants[d.Name] {
			if homes[d.Name][t].Side == migration.AWS {
				away = append(away, t)
			}
		}
		if len(away) == 0 {
			continue
		}
		var named state.CustomerNames
		l := work.Question.In(ctx, "who of "+d.Name+" is on AWS")
		if err := workflow.ExecuteActivity(l, work.State.NameCustomers,
			state.NameCustomersRequest{Spec: m.Spec, Dataset: d.Name, Tenants: away}).Get(l, &named); err != nil {
			return nil, err
		}
		for _, t := range away {
			if id := named.IDs[t]; id != "" && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out, nil
}

// records reads the home records of the customers without a database.
func (m *run) records(ctx workflow.Context) (map[string]migration.Homed, error) {
	out := map[string]migration.Homed{}
	for ids := range slices.Chunk(m.plan.Stateless, recordsAtOnce) {
		var r homes.ManyResult
		l := work.Question.In(ctx, "where the customers without a database are homed")
		if err := workflow.ExecuteActivity(l, work.Homes.ReadHomeRecords, homes.ManyRequest{Spec: m.Spec, Customers: ids}).Get(l,
			&r); err != nil {
			return nil, err
		}
		for _, id := range ids {
			out[id] = r.Homes[id]
		}
	}
	return out, nil
}

// homes asks every database where its tenants are homed. Whoever an amendment has brought into the
// plan, and is not prepared yet, is not in it.
func (m *run) homes(ctx workflow.Context) (map[string]map[int64]migration.Homed, error) {
	out := map[string]map[int64]migration.Homed{}
	for _, d := range m.plan.Datasets {
		if d.Postgres == nil {
			continue
		}
		var r postgres.ReadHomesResult
		q := postgres.ReadHomesRequest{PostgresRef: m.refTo(d),
			Tenants: m.plan.Tenants[d.Name], Known: true}
		s := work.Survey.At(ctx, d.Site(), "where the customers of "+d.Name+" are homed")
		if err := workflow.ExecuteActivity(s, work.Postgres.ReadHomes, q).Get(s, &r); err != nil {
			return nil, err
		}
		out[d.Name] = r.Homes
	}
	return out, nil
}

func (m *run) restoreRoutes(ctx workflow.Context) error {
	if !m.plan.Routed {
		return nil
	}
	homes, err := m.homes(ctx)
	if err != nil {
		return err
	}
	for _, d := range m.plan.Datasets {
		if d.Postgres == nil {
			continue
		}
		for _, t := range m.plan.Tenants[d.Name] {
			if _, prepared := homes[d.Name][t]; !prepared { // no route of Drover's has ever carried it
				homes[d.Name][t] = migration.Homed{Side: migration.OnPrem}
			}
		}
	}
	l := work.Question.In(ctx, "restore the routes")
	return workflow.ExecuteActivity(l, work.Traffic.RestoreRoute, traffic.RestoreRouteRequest{Spec: m.Spec, Homes: homes}).Get(l, nil)
}

// remove takes away what stands in databases, AWS, vCenter and the state bucket. It says what
// stays.
func (m *run) remove(ctx workflow.Context) (kept []string, err error) {
	for _, d := range m.plan.Datasets {
		if d.Postgres == nil {
			continue
		}
		s := work.Survey.At(ctx, d.Site(), "remove replication of "+d.Name)
		ref := m.refTo(d)
		var r postgres.DropResult
		if err := workflow.ExecuteActivity(s, work.Postgres.DropPostgres, ref).Get(s, &r); err != nil {
			return nil, err
		}
		kept = append(kept, r.Kept...)
	}
	if err := workload.Retire(ctx, m.Spec, m.plan); err != nil {
		return nil, err
	}
	for _, t := range m.plan.Targets {
		l := work.Launch.In(ctx, "delete the copies of disks in "+t.Name)
		req := compute.RetireCopiesRequest{Plan: m.Spec.Plan, Target: t}
		if err := workflow.ExecuteActivity(l, work.Compute.RetireCopies, req).Get(l, nil); err != nil {
			return nil, err
		}
	}
	for _, site := range m.plan.Sites {
		if site.VSphere == nil {
			continue
		}
		s := work.Survey.At(ctx, site.Name, "remove the snapshots that Drover made at "+site.Name)
		req := vsphere.MadeSnapshotsRequest{Plan: m.Spec.Plan, Site: site, Remove: true}
		if err := workflow.ExecuteActivity(s, work.VSphere.MadeSnapshots, req).Get(s, nil); err != nil {
			return nil, err
		}
	}
	l := work.Launch.In(ctx, "remove what served the plan's work from the state bucket")
	if err := workflow.ExecuteActivity(l, work.State.SweepState, state.SweepRequest{Spec: m.Spec, Remove: true}).Get(l, nil); err != nil {
		return nil, err
	}
	if files := m.trees(); files != "" {
		kept = append(kept, "the files of "+files+" stay in their buckets")
	}
	return append(kept, "the compiled plan and the evidence stay in the state bucket"), nil
}

// trees names the file trees of the plan; "": it has none.
func (m *run) trees() string {
	var names []string
	for _, d := range m.plan.Datasets {
		if d.Files != nil {
			names = append(names, d.Name)
		}
	}
	return strings.Join(names, ", ")
}

// refTo is a database of the plan, as activities are told of it.
func (m *run) refTo(d migration.Dataset) postgres.PostgresRef {
	return postgres.PostgresRef{Plan: m.Spec.Plan, Dataset: d, Target: m.plan.Target(d.Target())}
}
