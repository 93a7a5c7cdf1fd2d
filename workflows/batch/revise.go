package batch

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/customer"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

// joinPause lies between two questions whether the databases know those who have joined, and
// between two attempts to read a plan.
const joinPause = 5 * time.Second

// readWithin is how long one attempt to read a plan takes. A batch that reads goes on as new later.
const readWithin = time.Minute

// behind says whether the migration goes on by a newer revision of the plan than the batch.
func (b *batch) behind() bool {
	_, is := b.Newest.Renews(b.in.Spec)
	return is
}

// followPlan takes over each revision of the plan that the batch hears of. It never returns.
func (b *batch) followPlan(ctx workflow.Context) {
	for workflow.Await(ctx, func() bool { return b.Begun && b.behind() }) == nil {
		b.revising = true
		err := b.revise(ctx)
		b.revising = false
		if err != nil {
			workflow.GetLogger(ctx).Warn("the amended plan is not read", "batch", b.in.Batch.Name, "error", err)
			if work.Sleep(ctx, joinPause, "before the amended plan is read again") != nil {
				return
			}
		}
	}
}

// revise goes on by the newest revision: with what the batch is now, and with those who are its
// customers now. One that the plan has no more lets its customers go, and ends.
func (b *batch) revise(ctx workflow.Context) error {
	next, _ := b.Newest.Renews(b.in.Spec)
	var plan state.Plan
	question := work.Question.Within(readWithin)
	if err := question.Ask(ctx, "read the amended plan", work.State.LoadPlan, next, &plan); err != nil {
		return err
	}
	now, tenants := migration.Batch{Name: b.in.Batch.Name}, state.BatchTenants{}
	i := slices.IndexFunc(plan.Batches, func(x migration.Batch) bool { return x.Name == now.Name })
	if i >= 0 {
		now = plan.Batches[i]
		req := state.LoadTenantsRequest{Spec: next, Batch: now.Name}
		if err := question.Ask(ctx, "read whom to ask where the batch's customers are homed", work.State.LoadTenants, req,
			&tenants); err != nil {
			return err
		}
	}
	for b.looking { // at members of before
		if err := workflow.Await(ctx, func() bool { return !b.looking }); err != nil {
			return err
		}
	}
	before, was, by, named := b.Members, b.by, b.in.Spec, b.byName()
	b.in.Spec, b.in.Batch, b.plan, b.tenants = next, now, plan, tenants
	b.know(newMembers(now))
	var joined []*member
	for i, m := range b.Members {
		if old := was[m.Status.ID]; old != nil {
			b.Members[i], b.by[m.Status.ID] = old, old
		} else {
			joined = append(joined, m)
		}
	}
	left := 0
	named = slices.DeleteFunc(named, func(id string) bool { return b.by[id] != nil })
	for _, m := range before {
		if b.by[m.Status.ID] != nil {
			continue
		}
		if left++; m.Asks != "" { // whoever it is a member of now asks anew
			b.Post.Settle(m.Asks)
		}
	}
	b.Gathered = len(b.Members)
	b.unsure()
	b.Post.Retell(plan.Told)
	b.Note(ctx, fmt.Sprintf("goes on by revision %d: %d customers have come, %d have left", next.Revision, len(joined), left),
		migration.Command{By: mail.ByDrover})
	b.join(ctx, joined)
	for _, m := range b.Members { // who may set out by a person's word alone
		if m.heard() && m.is(migration.CustomerHeld, migration.CustomerRolledBack) && m.Status.Home == migration.OnPrem {
			b.Tell(ctx, b.idOf(m), mail.SignalAsk, b.ask(false))
		}
	}
	b.settleNames(ctx, by, named)
	if i < 0 {
		b.dismissed = &mail.Wish{By: mail.ByDrover, Reason: "an amendment has taken the batch out of the plan"}
	}
	b.Show(ctx)
	b.changed(ctx)
	return nil
}

// join starts those who have joined, or tells them to whom they belong now.
func (b *batch) join(ctx workflow.Context, joined []*member) {
	for some := range slices.Chunk(joined, startChunk) {
		work.Together(ctx, some, func(ctx workflow.Context, m *member) {
			in := b.customer(m)
			in.Joins = true
			if !customer.Start(ctx, in) {
				b.Tell(ctx, b.idOf(m), mail.SignalAsk, b.ask(true))
			}
		})
		b.Flush(ctx)
	}
}

// ask is a roll call for a member. Where the plan was amended it says to whom the member belongs.
func (b *batch) ask(report bool) mail.Ask { return mail.Ask{Report: report, Belongs: b.belongs()} }

func (b *batch) belongs() mail.Belongs {
	if r := b.in.Spec.Amended(); r.Digest != "" {
		return mail.Belongs{Revision: r, Batch: b.in.Batch.Name}
	}
	return mail.Belongs{}
}

// unsure has those who have not been told to go wait until the databases know them. Of a plan's
// first revision they did before any batch had its turn.
func (b *batch) unsure() {
	if b.in.Spec.Revision <= 1 {
		return
	}
	for _, d := range b.plan.Datasets {
		for _, t := range b.tenants.Databases[d.Name] {
			if m := b.by[t.Customer]; !m.Told {
				m.Joining = true
			}
		}
	}
}

func (b *batch) joining() (n int) {
	for _, m := range b.Members {
		if m.Joining && !m.Told {
			n++
		}
	}
	return n
}

// takeIn asks the databases for those who wait to be known there. It never returns.
func (b *batch) takeIn(ctx workflow.Context) {
	for workflow.Await(ctx, func() bool { return b.Begun && b.joining() > 0 }) == nil {
		waits := func(m *member) bool { return m.Joining && !m.Told }
		asked := map[string]int{} // databases that have not said that they know the customer
		for _, d := range b.plan.Datasets {
			for _, t := range b.tenants.Databases[d.Name] {
				if waits(b.by[t.Customer]) {
					asked[t.Customer]++
				}
			}
		}
		b.askHomes(ctx, work.SiteQuestion, "whether it knows those who have joined", true, waits,
			func(id string, _ migration.Homed, _ bool) {
				asked[id]--
				if m := b.by[id]; m != nil && asked[id] == 0 {
					m.Joining = false
				}
			})
		if b.joining() == 0 {
			continue
		}
		if work.Sleep(ctx, joinPause, "before the databases are asked again for those who have joined") != nil {
			return
		}
	}
}
