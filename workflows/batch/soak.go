package batch

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/homes"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/customer"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	soakLook  = time.Minute // between two looks at those that soak
	soakShard = 300         // customers that one activity looks at, or whose home records it writes
	// soakPace is the least time for each customer of a batch between two looks, where the end of a
	// customer's soak asks for one earlier than soakLook: a large batch does not look once for each
	// end.
	soakPace = 150 * time.Millisecond
	// finishChunk is how many are told at a time that they have finished: each answers at once.
	finishChunk = 50
)

// watchSoak looks at all customers that soak, together, each minute, and when the soak of one ends.
// A customer that soaks sleeps until it is told what was seen. It never returns.
func (b *batch) watchSoak(ctx workflow.Context) {
	for workflow.Await(ctx, func() bool { return b.Begun && b.tally().soaking > 0 }) == nil {
		due := b.nextLook()
		changed := func() bool { return b.tally().soaking == 0 || b.nextLook().Before(due) }
		if wait := due.Sub(workflow.Now(ctx)); wait > 0 {
			work.AwaitFor(ctx, wait, "until the next look at those that soak", changed)
		}
		switch {
		case ctx.Err() != nil:
			return
		case b.tally().soaking == 0:
			b.setBlind(ctx, "")
		case !workflow.Now(ctx).Before(due):
			b.look(ctx)
		}
	}
}

// nextLook is when those that soak are looked at again.
func (b *batch) nextLook() time.Time {
	due := b.Looked.Add(soakLook)
	for _, m := range b.Members {
		if ends := m.Status.Until; m.soaking() && ends.After(b.Looked) && ends.Before(due) {
			due = ends
		}
	}
	pace := min(max(time.Duration(len(b.Members))*soakPace, time.Second), soakLook)
	if least := b.Looked.Add(pace); due.Before(least) {
		return least
	}
	return due
}

// looked is a customer as it was when a look at it began.
type looked struct {
	*member
	until time.Time // the end of its soak
	home  migration.Homed
}

// still says that the customer is in the soak that was looked at.
func (l looked) still() bool { return l.soaking() && l.Status.Until.Equal(l.until) }

// look looks once at everybody that soaks. A run that goes on as new waits for the end of the look.
func (b *batch) look(ctx workflow.Context) {
	b.looking = true
	defer func() { b.looking = false }()
	b.Looked = workflow.Now(ctx)
	b.noteSoaks(ctx)
	homes := b.readHomes(ctx)
	var soaking []looked
	for _, m := range b.Members {
		if m.soaking() {
			soaking = append(soaking, looked{m, m.Status.Until, homes[m.Status.ID]})
		}
	}
	blind := ""
	var over []looked
	work.Together(ctx, slices.Collect(slices.Chunk(soaking, soakShard)), func(ctx workflow.Context, shard []looked) {
		r, words := b.watch(ctx, shard)
		counted(ctx, shard, r)
		if words != "" {
			blind = words
			return
		}
		for _, l := range shard {
			if b.saw(ctx, l, r) {
				over = append(over, l)
			}
		}
	})
	b.setBlind(ctx, blind)
	b.finish(ctx, over)
}

// counted counts the verdicts of a look.
func counted(ctx workflow.Context, shard []looked, r health.WatchManyResult) {
	for _, l := range shard {
		if v, ok := r.Verdicts[l.Status.ID]; ok {
			workflow.GetMetricsHandler(ctx).WithTags(map[string]string{"during": migration.DuringSoak, "outcome": string(v.Outcome)}).
				Counter(migration.MetricVerdicts).Inc(1)
		}
	}
}

// readHomes asks each database where the batch's customers that soak are homed, in one question a
// side. Who has no answer is not in it: its route is left as it is, and its soak does not end.
func (b *batch) readHomes(ctx workflow.Context) map[string]migration.Homed {
	out := map[string]migration.Homed{}
	b.askHomes(ctx, work.SoakQuestion, "where the customers that soak are homed", false, (*member).soaking,
		func(id string, home migration.Homed, _ bool) { out[id] = home })
	return out
}

// askHomes asks each database where some of the batch's customers are homed, in one question a
// side, and hands each of them over with the answer. It hands over nobody of a database that does
// not answer, and with known nobody whom a database does not know yet. Without known such a one is
// an error, and keeps the others of its database from an answer.
func (b *batch) askHomes(ctx workflow.Context, kind work.There, why string, known bool, who func(*member) bool,
	take func(id string, home migration.Homed, untouched bool)) {
	all := workflow.NewWaitGroup(ctx)
	if ids := b.stateless(who); len(ids) > 0 {
		all.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer all.Done()
			c := work.Records.In(ctx, why+", of those without a database")
			var r homes.ManyResult
			if err := workflow.ExecuteActivity(c, work.Homes.ReadHomeRecords, homes.ManyRequest{Spec: b.in.Spec, Customers: ids}).Get(c,
				&r); err != nil {
				workflow.GetLogger(ctx).Warn("home records are not read", "why", why, "error", err)
				return
			}
			for _, id := range ids {
				if home, ok := r.Homes[id]; ok {
					take(id, home, slices.Contains(r.New, id))
				}
			}
		})
	}
	for _, d := range b.plan.Datasets {
		var asked []state.Tenant
		var ids []int64
		for _, t := range b.tenants.Databases[d.Name] {
			if who(b.by[t.Customer]) {
				asked, ids = append(asked, t), append(ids, t.ID)
			}
		}
		if len(ids) == 0 {
			continue
		}
		all.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer all.Done()
			c := kind.At(ctx, d.Site(), why+", in "+d.Name)
			req := postgres.ReadHomesRequest{PostgresRef: b.refTo(d), Tenants: ids, Known: known}
			var r postgres.ReadHomesResult
			if err := workflow.ExecuteActivity(c, work.Postgres.ReadHomes, req).Get(c, &r); err != nil {
				workflow.GetLogger(ctx).Warn("homes are not read", "dataset", d.Name, "why", why, "error", err)
				return
			}
			for _, t := range asked {
				if home, ok := r.Homes[t.ID]; ok {
					take(t.Customer, home, slices.Contains(r.New, t.ID))
				}
			}
		})
	}
	all.Wait(ctx)
}

// stateless are some of the batch's customers without a database.
func (b *batch) stateless(who func(*member) bool) (ids []string) {
	for _, id := range b.tenants.Stateless {
		if who(b.by[id]) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (b *batch) refTo(d migration.Dataset) postgres.PostgresRef {
	return postgres.PostgresRef{Plan: b.in.Spec.Plan, Dataset: d, Target: b.plan.Target(d.Target())}
}

// note has the data remember what some customers want remembered, in one question to each database,
// and in shards to the home records. It says whose note stands: one that a later note has overtaken
// does not.
func (b *batch) note(ctx workflow.Context, why string, of func(*member) *migration.Note) map[string]bool {
	stands := map[string]bool{}
	all := workflow.NewWaitGroup(ctx)
	var records []homes.CustomerNote
	for _, id := range b.tenants.Stateless {
		if n := of(b.by[id]); n != nil {
			records = append(records, homes.CustomerNote{Customer: id, Note: *n})
		}
	}
	for some := range slices.Chunk(records, soakShard) {
		all.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer all.Done()
			c := work.Records.In(ctx, fmt.Sprintf("note that %d customers without a database %s", len(some), why))
			req := homes.NotesRequest{Spec: b.in.Spec, Side: migration.AWS, Notes: some}
			var r homes.NotesResult
			if err := workflow.ExecuteActivity(c, work.Homes.NoteHomes, req).Get(c, &r); err != nil {
				workflow.GetLogger(ctx).Warn("not noted", "why", why, "error", err)
				return
			}
			for _, id := range r.Noted {
				stands[id] = true
			}
		})
	}
	for _, d := range b.plan.Datasets {
		req := postgres.NotesRequest{PostgresRef: b.refTo(d), Side: migration.AWS}
		who := map[int64]string{}
		for _, t := range b.tenants.Databases[d.Name] {
			if n := of(b.by[t.Customer]); n != nil {
				req.Notes = append(req.Notes, postgres.TenantNote{Tenant: t.ID, Note: *n})
				who[t.ID] = t.Customer
			}
		}
		if len(req.Notes) == 0 {
			continue
		}
		all.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer all.Done()
			c := work.SoakQuestion.At(ctx, d.Site(), fmt.Sprintf("note in %s that %d customers %s", d.Name, len(req.Notes), why))
			var r postgres.NotesResult
			if err := workflow.ExecuteActivity(c, work.Postgres.NoteTenants, req).Get(c, &r); err != nil {
				workflow.GetLogger(ctx).Warn("not noted", "dataset", d.Name, "why", why, "error", err)
				return
			}
			for _, t := range r.Noted {
				stands[who[t]] = true
			}
		})
	}
	all.Wait(ctx)
	return stands
}

// noteSoaks has the data remember of those that soak that they do.
func (b *batch) noteSoaks(ctx workflow.Context) {
	asked := map[*member]migration.Note{}
	noted := b.note(ctx, "soak", func(m *member) *migration.Note {
		if !m.soaking() || m.Soak == nil || m.Noted {
			return nil
		}
		asked[m] = m.Soak.Begun
		return &m.Soak.Begun
	})
	for _, m := range b.Members {
		if was, ok := asked[m]; ok && m.Soak != nil && m.Soak.Begun == was {
			m.Noted = noted[m.Status.ID]
		}
	}
}

// finish tells those whose soak is over, some at a time, after their data has taken note of it. Who
// could not be noted is told all the same, and sees to it by itself.
func (b *batch) finish(ctx workflow.Context, over []looked) {
	for some := range slices.Chunk(over, finishChunk) {
		stays := func(m *member) bool {
			return slices.ContainsFunc(some, func(l looked) bool { return l.member == m && l.still() })
		}
		noted := b.note(ctx, "have finished", func(m *member) *migration.Note {
			if m.Soak == nil || !stays(m) {
				return nil
			}
			return &m.Soak.Over
		})
		for _, l := range some {
			if l.still() {
				b.tellCustomer(ctx, l.member, mail.SignalSeen, mail.Seen{Until: l.until, Over: true, Noted: noted[l.Status.ID]})
			}
		}
		b.Flush(ctx)
	}
}

// watch has one activity look at some customers. blind is not empty when nobody can be judged: why.
func (b *batch) watch(ctx workflow.Context, shard []looked) (r health.WatchManyResult, blind string) {
	req := health.WatchManyRequest{Spec: b.in.Spec}
	for _, l := range shard {
		req.Customers = append(req.Customers, health.Soaking{Customer: l.Status.ID, Side: l.home.Side, Token: l.home.Token,
			Weight: l.home.Weight})
	}
	c := work.Soak.In(ctx, fmt.Sprintf("look at %d customers that soak", len(shard)))
	if err := workflow.ExecuteActivity(c, work.Health.WatchMany, req).Get(c, &r); err != nil {
		return r, "those that soak could not be looked at: " + work.Reason(err)
	}
	for _, l := range shard {
		if r.Verdicts[l.Status.ID].Outcome != migration.Inconclusive {
			return r, r.Blind
		}
	}
	if r.Blind == "" {
		r.Blind = "nobody that soaks can be judged: " + r.Verdicts[shard[0].Status.ID].Reason
	}
	return r, r.Blind
}

// saw tells a customer what a look has found of it, where that is news. It says whether the soak is
// over, and all was well: it is told when its data has taken note of that.
func (b *batch) saw(ctx workflow.Context, l looked, r health.WatchManyResult) (finished bool) {
	if !l.still() {
		return false // it went on meanwhile
	}
	v := r.Verdicts[l.Status.ID]
	if b.Phase != migration.BatchTakingBack {
		l.Recalled = nil // whoever was told and still soaks is told again
	}
	l.Unwell = nil
	seen := mail.Seen{Until: l.until}
	over := !b.Looked.Before(l.until)
	switch route := r.Routes[l.Status.ID]; {
	case l.home.Side == migration.OnPrem:
		seen.Elsewhere = true
	case v.Outcome == migration.Fail:
		l.Unwell = &v
		return false // bringHome tells it
	case v.Outcome == migration.Inconclusive:
		seen.Trouble = "its health cannot be judged: " + v.Reason
	case route != "":
		seen.Trouble = "its route is left as it is: " + route
	case over && l.home.Side == migration.AWS:
		return true
	case over:
		seen.Trouble = "the soak is over, and its data does not say yet that it is homed on aws"
	}
	if _, shown := customer.Soaks(seen.Trouble); seen.Elsewhere || l.Status.Reason != shown {
		b.tellCustomer(ctx, l.member, mail.SignalSeen, seen)
	}
	return false
}

// bringHome tells those whom a look found unwell, as many at a time as may be on their way back. It
// never returns.
func (b *batch) bringHome(ctx workflow.Context) {
	var next *member
	for workflow.Await(ctx, func() bool { next = b.nextUnwell(); return next != nil }) == nil {
		at, v := next.Order, next.Unwell
		next.Unwell, next.Recalled = nil, &at
		b.tellCustomer(ctx, next, mail.SignalSeen, mail.Seen{Until: next.Status.Until, Unwell: v})
	}
}

// nextUnwell is who is to be sent home next; nil: nobody, or too many are on their way.
func (b *batch) nextUnwell() (next *member) {
	if !b.Begun || b.tally().coming >= b.backSlots() {
		return nil
	}
	for _, m := range b.Members {
		if m.Unwell != nil && m.soaking() {
			return m
		}
	}
	return nil
}

// setBlind says that nobody that soaks can be judged, and why; "": those who are looked at can.
// Until then nobody is taken back for its health, no soak ends, and nobody else goes to AWS.
func (b *batch) setBlind(ctx workflow.Context, words string) {
	if words == b.Blind {
		return
	}
	if b.Blind == "" {
		b.Note(ctx, "nobody that soaks can be judged", migration.Command{By: mail.ByDrover, Reason: words})
	} else if words == "" {
		b.Note(ctx, "those that soak are judged again", migration.Command{By: mail.ByDrover})
	}
	b.Blind = words
	if b.Phase == migration.BatchDone {
		b.Set(ctx, b.Phase, b.doneWaits(), b.unseeing())
	}
}

// unseeing is why somebody on AWS cannot be judged, who soaks or bakes; "": everybody can. Nobody
// else goes to AWS meanwhile.
func (b *batch) unseeing() string { return cmp.Or(b.Blind, b.tally().blind) }

// doneWaits is what a batch waits for that has nobody left to send out.
func (b *batch) doneWaits() migration.Waiting {
	if b.unseeing() != "" {
		return migration.WaitHealth
	}
	return migration.WaitNothing
}
