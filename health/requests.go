package health

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/drover-migration/drover/migration"
)

// RequestsQuestion asks how many requests of a customer's users failed, or were retried, over a
// time.
type RequestsQuestion struct {
	Plan     string
	Slice    migration.CustomerSlice
	Side     migration.Side // where it has moved to
	From, To time.Time
}

// CountRequests asks those whom the plan names. A count is nil where it names nobody, and has no
// number where they have none: why is in it. Read-only.
func (d *Doctor) CountRequests(ctx context.Context, q RequestsQuestion) (failed, retried *migration.Count) {
	named := q.Slice.Health.Requests
	if named == nil {
		return nil, nil
	}
	var asking sync.WaitGroup
	asking.Go(func() { failed = d.count(ctx, q, named.Failed) })
	asking.Go(func() { retried = d.count(ctx, q, named.Retried) })
	asking.Wait()
	return failed, retried
}

// count asks one of them.
func (d *Doctor) count(ctx context.Context, q RequestsQuestion, by *migration.CountQuery) *migration.Count {
	if by == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var n number
	if p := by.Prometheus; p != nil {
		n = d.ofPrometheus(ctx, *p, over(named(p.Query, q.Slice.Customer, q.Side), q.From, q.To), q.To)
	} else {
		n = d.countMetric(ctx, q, *by.CloudWatch)
	}
	switch {
	case n.err != nil:
		return &migration.Count{Why: bounded(n.err.Error())}
	case !n.known:
		return &migration.Count{Why: "the query has no number for that time"}
	case n.value < 0 || n.value > math.MaxInt32*math.MaxInt16:
		return &migration.Count{Why: "the query answers " + short(n.value) + ", which is no number of requests"}
	}
	return &migration.Count{N: int64(math.Round(n.value))} // Prometheus extends an increase to the ends of its range
}

// over puts the time into a query.
func over(query string, from, to time.Time) string {
	return strings.ReplaceAll(query, "{window}", fmt.Sprintf("%ds", max(1, int64(math.Ceil(to.Sub(from).Seconds())))))
}

// countMetric adds a metric up over the target groups of the customer's workloads on both sides.
// CloudWatch counts in whole minutes: the time is made as much longer as it takes.
func (d *Doctor) countMetric(ctx context.Context, q RequestsQuestion, by migration.CloudWatchQuery) (sum number) {
	from, to := q.From.Truncate(time.Minute), q.To.Add(time.Minute-1).Truncate(time.Minute)
	by.Over = migration.Duration(max(to.Sub(from), time.Minute))
	err := d.metrics(ctx, q.Plan, q.Slice, []migration.Side{migration.OnPrem, migration.AWS}, by, to.Add(late), func(v float64) {
		sum.value, sum.known = sum.value+v, true
	})
	if err != nil {
		return number{err: err}
	}
	return sum
}

// checkedOver is the time over which a query is tried.
const checkedOver = 2 * migration.RequestMargin

// CheckRequests asks each query that counts requests once, for one of the plan's customers, and
// says why it has no number. No Move needs one: what is found are warnings. Read-only.
func (d *Doctor) CheckRequests(ctx context.Context, spec *migration.Spec) (out []migration.Finding) {
	if spec.Health.Requests == nil || len(spec.Customers) == 0 {
		return nil
	}
	slice, _ := spec.Slice(spec.Customers[0].ID)
	now := time.Now()
	failed, retried := d.CountRequests(ctx, RequestsQuestion{Plan: spec.Plan, Slice: slice, Side: migration.OnPrem,
		From: now.Add(-checkedOver), To: now})
	for _, x := range []struct {
		key string
		is  *migration.Count
	}{{"failed", failed}, {"retried", retried}} {
		if x.is != nil && !x.is.Known() {
			out = append(out, migration.Finding{Severity: migration.Warning, Check: "requests-not-counted",
				Subject: "health.requests." + x.key, Reason: "asked for customer " + slice.Customer.ID + ": " + x.is.Why,
				Remedy: "mend the query, or what answers it; customers move all the same, and these requests are shown as not measured"})
		}
	}
	return out
}
