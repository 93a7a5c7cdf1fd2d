package batch

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/customer"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	soakLook  = time.Minute // between two looks at those that soak
	soakShard = 300         // customers that one activity looks at
	// soakPace is the least time for each customer of a batch between two looks, where the end of a
	// customer's soak asks for one earlier than soakLook: a large batch does not look once for each
	// end.
	soakPace = 150 * time.Millisecond
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

// look looks once at everybody that soaks. A run that goes on as new waits for the end of the look.
func (b *batch) look(ctx workflow.Context) {
	b.looking = true
	defer func() { b.looking = false }()
	b.Looked = workflow.Now(ctx)
	homes := b.readHomes(ctx)
	var soaking []looked
	for _, m := range b.Members {
		if m.soaking() {
			soaking = append(soaking, looked{m, m.Status.Until, homes[m.Status.ID]})
		}
	}
	all, blind := workflow.NewWaitGroup(ctx), ""
	for shard := range slices.Chunk(soaking, soakShard) {
		all.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer all.Done()
			r, words := b.watch(ctx, shard)
			counted(ctx, shard, r)
			if words != "" {
				blind = words
				return
			}
			for _, l := range shard {
				b.saw(ctx, l, r)
			}
		})
	}
	all.Wait(ctx)
	b.setBlind(ctx, blind)
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
	all := workflow.NewWaitGroup(ctx)
	for _, d := range b.plan.Datasets {
		tenants := b.tenants.Databases[d.Name]
		var ask []int64
		for _, t := range tenants {
			if b.by[t.Customer].soaking() {
				ask = append(ask, t.ID)
			}
		}
		if len(ask) == 0 {
			continue
		}
		all.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer all.Done()
			c := work.SoakQuestion.At(ctx, d.Site(), "where the customers that soak are homed, in "+d.Name)
			req := postgres.ReadHomesRequest{
				PostgresRef: postgres.PostgresRef{Plan: b.in.Spec.Plan, Dataset: d, Target: b.plan.Target(d.Target())}, Tenants: ask,
			}
			var r postgres.ReadHomesResult
			if err := workflow.ExecuteActivity(c, work.Postgres.ReadHomes, req).Get(c, &r); err != nil {
				workflow.GetLogger(ctx).Warn("the homes of those that soak are not read", "dataset", d.Name, "error", err)
				return
			}
			for _, t := range tenants {
				if home, ok := r.Homes[t.ID]; ok {
					out[t.Customer] = home
				}
			}
		})
	}
	all.Wait(ctx)
	return out
}

// watch has one activity look at some customers. blind is not empty when nobody can be judged: why.
func (b *batch) watch(ctx workflow.Context, shard []looked) (r health.WatchManyResult, blind string) {
	req := health.WatchManyRequest{Spec: b.in.Spec}
	for _, l := range shard {
		req.Customers = append(req.Customers, health.Soaking{Customer: l.Status.ID, Side: l.home.Side, Token: l.home.Token})
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

// saw tells a customer what a look has found of it, where that is news.
func (b *batch) saw(ctx workflow.Context, l looked, r health.WatchManyResult) {
	if !l.soaking() || !l.Status.Until.Equal(l.until) {
		return // it went on meanwhile
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
		return // bringHome tells it
	case v.Outcome == migration.Inconclusive:
		seen.Trouble = "its health cannot be judged: " + v.Reason
	case route != "":
		seen.Trouble = "its route is left as it is: " + route
	case over && l.home.Side == migration.AWS:
		seen.Over = true
	case over:
		seen.Trouble = "the soak is over, and its data does not say yet that it is homed on aws"
	}
	if _, shown := customer.Soaks(seen.Trouble); seen.Elsewhere || seen.Over || l.Status.Reason != shown {
		b.tellCustomer(ctx, l.member, mail.SignalSeen, seen)
	}
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
		b.Set(ctx, b.Phase, b.doneWaits(), b.summary())
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
