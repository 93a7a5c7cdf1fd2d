package replication

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

// auditEvery lies between two audits of a database's fences: what they find is known within a
// minute.
const auditEvery = 45 * time.Second

// auditAlways audits the fences of every customer on both sides, from the day on which they are set
// up to the end of the migration, whatever phase a customer is in.
func (r *replication) auditAlways(ctx workflow.Context) {
	for !r.stopped && ctx.Err() == nil {
		r.auditing = true // a run that goes on as new waits for the answer: what it closed must be told
		r.audit(ctx)
		r.auditing = false
		work.AwaitFor(ctx, auditEvery, "until the next audit of both sides", func() bool { return r.stopped })
	}
}

// audit looks once. It holds the customers that it finds in trouble, and stops the migration from
// moving anybody while a server is in doubt.
func (r *replication) audit(ctx workflow.Context) {
	var w postgres.WatchResult
	a := work.Audit.At(ctx, r.dataset.Site(), "audit both sides of "+r.dataset.Name)
	if err := workflow.ExecuteActivity(a, work.Postgres.WatchPostgres, r.ref()).Get(a, &w); err != nil {
		why := "its fences cannot be audited: " + work.ReasonAt(err, r.dataset.Site())
		if !r.lost() {
			r.NoWayBack = &migration.NoWayBack{Why: why, Unknown: true}
		}
		r.trouble(ctx, why, r.Stop) // nobody has seen the end of what let nobody move
		return
	}
	if w.Silent == "" || !r.lost() {
		r.NoWayBack = w.NoWayBack
	}
	words, alone := troubles(w)
	if len(words) > 0 {
		if err := r.holdThose(ctx, words, alone); err != nil {
			r.trouble(ctx, "customers in trouble cannot be named: "+work.Reason(err), true)
			return
		}
	}
	var all []string
	if w.Silent != "" {
		all = append(all, w.Silent)
	}
	all = append(all, w.Doubts...)
	if n := len(w.Both); n > 0 {
		all = append(all, fmt.Sprintf("both sides take the writes of %d customers: see drover doctor", n))
	}
	all = append(all, w.Drift...)
	all = append(all, w.WAL...)
	all = append(all, w.Clocks...)
	if r.Changed = len(w.Schema) > 0; r.Changed {
		all = append(all, changedByHand(w.Schema, r.in.Spec.Plan))
	}
	r.trouble(ctx, strings.Join(all, "; "), len(w.Doubts)+len(w.WAL) > 0 || w.Silent != "" && r.Stop)
}

// lost says whether the way back was lost when somebody looked last: it is, until somebody sees
// both sides again.
func (r *replication) lost() bool { return r.NoWayBack != nil && r.NoWayBack.Lost }

// mostChanges are named of what DDL by hand has changed; the rest is counted.
const mostChanges = 5

// changedByHand says what somebody has changed in the schema, and what to do about it.
func changedByHand(changes []string, plan string) string {
	more := ""
	if n := len(changes) - mostChanges; n > 0 {
		more = fmt.Sprintf("; and %d more", n)
		changes = changes[:mostChanges]
	}
	return fmt.Sprintf(
		"the schema was changed by hand, and nobody moves: %s%s. Make it alike on both sides or undo it, then `drover schema take-in "+
			"%s`; `drover schema apply %[3]s FILE.sql` does both",
		strings.Join(changes, "; "),
		more,
		plan,
	)
}

// troubles are the words for each tenant that a person must look at. alone are those of them that
// go on without a side.
func troubles(w postgres.WatchResult) (words map[int64]string, alone map[int64]bool) {
	words, alone = map[int64]string{}, map[int64]bool{}
	for _, l := range w.Lost {
		words[l.Tenant], alone[l.Tenant] = l.Loss.String()+". Retry has it go on", true
	}
	for _, s := range w.Stale {
		if alone[s.Tenant] { // its old side came back
			words[s.Tenant] += ". "
		}
		words[s.Tenant] += fmt.Sprintf("its side %s had forgotten that it moved away and took writes beside the other; "+
			"it was closed again at %s under token %d. Written there meanwhile: %s. Carry over what counts, then retry",
			s.Side, s.At.UTC().Format("2006-01-02 15:04:05 MST"), s.Token, s.Writes)
	}
	for _, b := range w.Both {
		words[b.Tenant] = b.Why
	}
	return words, alone
}

// holdThose tells the customers of these tenants what was found, once for each finding.
func (r *replication) holdThose(ctx workflow.Context, words map[int64]string, alone map[int64]bool) error {
	tenants := make([]int64, 0, len(words))
	for _, t := range r.plan.Tenants[r.in.Dataset] { // in one order, whenever it is replayed
		if words[t] != "" && r.Told[t] != words[t] {
			tenants = append(tenants, t)
		}
	}
	if len(tenants) == 0 {
		return nil
	}
	var names state.CustomerNames
	l := work.Question.In(ctx, "name the customers in trouble")
	if err := workflow.ExecuteActivity(l, work.State.NameCustomers,
		state.NameCustomersRequest{Spec: r.in.Spec, Dataset: r.in.Dataset, Tenants: tenants}).Get(l, &names); err != nil {
		return err
	}
	for _, t := range tenants {
		r.Told[t] = words[t]
		r.TellOr(
			ctx,
			migration.CustomerID(r.in.Spec.Plan, names.IDs[t]),
			mail.SignalTrouble,
			mail.Trouble{Words: words[t], Alone: alone[t]},
			func(workflow.Context) {
				delete(r.Told, t) // it does not run now: it is told when it does
			},
		)
	}
	return nil
}

// trouble says what is wrong with the dataset; "" says that nothing is. stop keeps every customer
// from moving.
func (r *replication) trouble(ctx workflow.Context, words string, stop bool) {
	if words == r.Trouble && stop == r.Stop {
		return
	}
	r.Trouble, r.Stop = words, stop
	switch {
	case !r.Prepared:
		r.copies(ctx)
	case words != "": // else its lag is said next
		r.Set(ctx, r.Phase, migration.WaitOperator, words)
	}
	r.report(ctx)
}
