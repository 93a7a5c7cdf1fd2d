package customer

import (
	"cmp"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	countAfter = 3 * time.Minute  // from the end of a Move's time until those who count know all of it
	countPause = 15 * time.Second // before a question in vain is asked again; doubles
	countTries = 5
	countLast  = 15 * time.Second // for which a customer that ends waits for its counts
)

// toCount is what others are to count of the requests of the customer's users around a Move that
// has just arrived; nil: the plan names nobody.
func (c *customer) toCount(ctx workflow.Context, m migration.MoveResult) *migration.Requests {
	r := c.counts(migration.Count{Pending: true})
	if r == nil {
		return nil
	}
	from, to := m.Fenced, m.Routed
	if from.IsZero() {
		from = m.Opened
	}
	if to.IsZero() {
		to = workflow.Now(ctx)
	}
	if from.IsZero() || from.After(to) { // by two clocks
		from = to
	}
	r.From, r.To = from.Add(-migration.RequestMargin), to.Add(migration.RequestMargin)
	r.Next = r.To.Add(countAfter)
	return r
}

// uncounted is what is known of the requests around a Move that did not live to say when it was.
func (c *customer) uncounted() *migration.Requests {
	return c.counts(migration.Count{Why: "nobody knows when it moved: its Move did not live to say so"})
}

// counts says the same of everything that the plan has counted; nil: it names nobody.
func (c *customer) counts(n migration.Count) *migration.Requests {
	named := c.slice.Health.Requests
	if named == nil {
		return nil
	}
	r := &migration.Requests{}
	if named.Failed != nil {
		failed := n
		r.Failed = &failed
	}
	if named.Retried != nil {
		retried := n
		r.Retried = &retried
	}
	return r
}

// keepCounts asks for what is to be counted, beside everything else. It never returns.
func (c *customer) keepCounts(ctx workflow.Context) {
	for workflow.Await(ctx, func() bool { return c.nextCount() != nil }) == nil {
		m := c.nextCount()
		if wait := m.Requests.Next.Sub(workflow.Now(ctx)); wait > 0 && !c.ending {
			work.AwaitFor(ctx, wait, fmt.Sprintf("before the requests around try %d are counted", m.Try.Token),
				func() bool { return c.ending })
			continue
		}
		c.count(ctx, *m)
	}
}

// nextCount is the first Move whose requests are not counted yet; nil: there is none.
func (c *customer) nextCount() *migration.MoveResult {
	for i := range c.Moves {
		if r := c.Moves[i].Requests; r != nil && !r.Next.IsZero() {
			return &c.Moves[i]
		}
	}
	return nil
}

// count asks once. Of a customer that ends the time ends with it.
func (c *customer) count(ctx workflow.Context, m migration.MoveResult) {
	r := m.Requests
	if now := workflow.Now(ctx); r.To.After(now) {
		r.To = now
	}
	asking := work.Count.In(ctx, fmt.Sprintf("count the requests of %s around try %d", c.in.ID, m.Try.Token))
	var got health.RequestsResult
	err := workflow.ExecuteActivity(asking, work.Health.CountRequests, health.RequestsRequest{Plan: c.in.Spec.Plan, Slice: c.slice,
		Side: m.To, From: r.From, To: r.To}).Get(asking, &got)
	r.Failed, r.Retried = learned(r.Failed, got.Failed, err), learned(r.Retried, got.Retried, err)
	r.Tries++
	open := r.Failed != nil && r.Failed.Pending || r.Retried != nil && r.Retried.Pending
	if open && r.Tries < countTries && !c.ending {
		r.Next = workflow.Now(ctx).Add(countPause << (r.Tries - 1))
		return
	}
	closeCount(r)
	c.report(ctx)
}

// closeCount gives up what has no number yet.
func closeCount(r *migration.Requests) {
	r.Next = time.Time{}
	for _, n := range []*migration.Count{r.Failed, r.Retried} {
		if n != nil && n.Pending {
			n.Pending, n.Why = false, cmp.Or(n.Why, "the customer had ended before anybody answered")
		}
	}
}

// learned is a count after a question. A number that is there stays.
func learned(had, got *migration.Count, err error) *migration.Count {
	switch {
	case had == nil || had.Known():
		return had
	case err != nil:
		return &migration.Count{Pending: true, Why: work.Reason(err)}
	case got == nil:
		return &migration.Count{Pending: true, Why: "the plan names no query for it any more"}
	case got.Known():
		return got
	default:
		return &migration.Count{Pending: true, Why: got.Why}
	}
}

// lastCounts counts what is not counted yet, for a while: nobody asks for a customer that has
// ended.
func (c *customer) lastCounts(ctx workflow.Context) {
	if c.nextCount() == nil {
		return
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	c.ending = true
	work.AwaitFor(ctx, countLast, "for the requests of "+c.in.ID+" to be counted", func() bool { return c.nextCount() == nil })
	c.ending = false
	for m := c.nextCount(); m != nil; m = c.nextCount() {
		closeCount(m.Requests)
	}
}
