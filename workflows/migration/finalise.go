package migration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	// guestPatience is how long the guest of a machine has to shut down once it has been asked.
	guestPatience = 10 * time.Minute
	// all is the share of a customer's requests, in percent, that is all of them.
	all = 100
	// sourcesPause lies between two attempts to shut down machines that still run.
	sourcesPause = time.Minute
)

// waitForTheEnd waits until somebody says that nobody goes back any more. What stands in the way of
// that is said, and the wait goes on. It ends without that word where an amendment has added a
// batch.
func (m *run) waitForTheEnd(ctx workflow.Context) error {
	for {
		m.Set(ctx, migration.MigrationSoak, m.waitsFor(), m.because())
		if err := m.awaitOrRenew(ctx, func() bool { return m.Final != nil || m.more() }); err != nil || m.Final == nil {
			return err
		}
		found, err := m.leftOnPremises(ctx)
		if err != nil {
			return err
		}
		err = work.Refused(found)
		if err == nil {
			return nil
		}
		m.Kept = "not finalised: " + work.Reason(err)
		m.Note(ctx, "not finalised", migration.Command{By: m.Final.By, Reason: work.Reason(err)})
		m.Final = nil
	}
}

// over is the soak of a migration whose customers have all ended: nothing is left to do but to end
// the way back.
func (m *run) over() bool { return m.Phase == migration.MigrationSoak && m.closed(m.Names) }

// leftOnPremises asks every database, and the home records of customers without one, who would be
// left on premises.
func (m *run) leftOnPremises(ctx workflow.Context) (out []migration.Finding, err error) {
	records, err := m.records(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range m.plan.Stateless {
		if h := records[id]; h.Side != migration.AWS || h.Weight < all {
			out = append(out, migration.Finding{Severity: migration.Blocker, Check: "finalise", Subject: "customer " + id,
				Reason: "not all of its requests go to AWS", Remedy: "move it first"})
		}
	}
	err = m.databases(ctx, "who of %s is left on premises", func(ctx workflow.Context, req postgres.FinaliseRequest) error {
		var r postgres.FinalFindings
		err := workflow.ExecuteActivity(ctx, work.Postgres.CheckFinal, req).Get(ctx, &r)
		out = append(out, r.Findings...)
		return err
	})
	return out, err
}

// databases has do called for each database, one after the other, with what an activity needs.
func (m *run) databases(ctx workflow.Context, summary string, do func(workflow.Context, postgres.FinaliseRequest) error) error {
	for _, d := range m.plan.Datasets {
		if d.Postgres == nil {
			continue
		}
		req := postgres.FinaliseRequest{SignUps: m.Final.SignUps,
			PostgresRef: m.refTo(d)}
		if err := do(work.Survey.At(ctx, d.Site(), fmt.Sprintf(summary, d.Name)), req); err != nil {
			return err
		}
	}
	return nil
}

// finalise ends the way back: what copies stops, the machines on premises are shut down, and then
// replication and guards go. The order matters: while a machine on premises runs, the guards refuse
// what it would write. From here on there is no way back, and so no cancel.
func (m *run) finalise(ctx workflow.Context) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err := m.load(ctx); err != nil {
		return err
	}
	if err := workflow.Await(ctx, m.schemasRest); err != nil {
		return err
	}
	m.stop(ctx)
	if err := m.shutDownSources(ctx); err != nil {
		return err
	}
	m.Set(ctx, migration.MigrationFinalising, migration.WaitData, "ends replication")
	return m.databases(ctx, "end replication of %s", func(ctx workflow.Context, req postgres.FinaliseRequest) error {
		return workflow.ExecuteActivity(ctx, work.Postgres.FinalisePostgres, req).Get(ctx, nil)
	})
}

// shutDownSources shuts down every machine of every workload on premises, and insists: it deletes
// none. One whose guest does not listen is a person's to shut down. That may take weeks: an error
// goes on in a new history, where all is looked at again.
func (m *run) shutDownSources(ctx workflow.Context) error {
	for {
		var running []string
		for _, w := range m.plan.Workloads {
			if !w.OnVMs() { // what serves it on premises is not Drover's to shut down
				continue
			}
			m.Set(ctx, migration.MigrationFinalising, migration.WaitData, "shuts down the VMs of "+w.Name+" on premises")
			if _, err := m.shutDown(ctx, w); err != nil {
				running = append(running, w.Name+": "+work.Reason(err))
			}
		}
		if len(running) == 0 {
			return nil
		}
		m.Set(ctx, migration.MigrationFinalising, migration.WaitOperator,
			"machines on premises still run, and are asked again each minute: "+strings.Join(running, "; "))
		_ = work.Sleep(ctx, sourcesPause, "before machines on premises are asked again")
		if m.Renews(ctx, m.mustRenew) {
			return m.anew(ctx)
		}
	}
}

// shutDown shuts down a workload's machines for good, all at once, and answers with their names and
// why one of them still runs. One that is off without its tag is off: that is noted once.
func (m *run) shutDown(ctx workflow.Context, w migration.Workload) (names []string, err error) {
	site := m.plan.Site(w.Site)
	s := work.Survey.At(ctx, site.Name, "list the VMs of "+w.Name)
	var list vsphere.ListVMsResult
	if err := workflow.ExecuteActivity(s, work.VSphere.ListVMs, vsphere.ListVMsRequest{Site: site, Selector: w.VMs}).Get(s,
		&list); err != nil {
		return nil, err
	}
	var asked []workflow.Future
	for _, vm := range list.VMs {
		names = append(names, vm.Name)
		c := work.Shutdown.Lasting(guestPatience).At(ctx, site.Name, "shut down "+vm.Name)
		asked = append(asked, workflow.ExecuteActivity(c, work.VSphere.ShutdownVM,
			vsphere.ShutdownVMRequest{Site: site, VM: vm, Timeout: migration.Duration(guestPatience), Retired: true}))
	}
	for i, f := range asked {
		var r vsphere.ShutdownVMResult
		if ferr := f.Get(ctx, &r); ferr != nil && err == nil {
			err = ferr
		}
		what := "VM " + names[i] + " is off, and could not be tagged"
		if r.Untagged != "" && !slices.ContainsFunc(m.Timeline, func(e migration.Event) bool { return e.What == what }) {
			m.Note(ctx, what, migration.Command{By: mail.ByDrover, Reason: r.Untagged})
		}
	}
	return names, err
}
