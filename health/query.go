package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/drover-migration/drover/migration"
)

const (
	// queryTimeout bounds one query: who answers it may sum up over many machines.
	queryTimeout = 10 * time.Second
	// longestAnswer is as much as is read of what answers a query.
	longestAnswer = 1 << 20
)

// Secrets resolves references to secrets, outside of any AWS account of the plan.
type Secrets interface {
	Resolve(ctx context.Context, ref migration.SecretRef) (string, error)
}

// number is what answers a query.
type number struct {
	value float64
	known bool // false: there is nothing to count yet
	err   error
}

// queried holds the number on AWS against the customer's own from before its fence.
func (w *watcher) queried(ctx context.Context, p migration.Probe) sample {
	var base float64
	var has bool
	if w.req.Baseline != nil {
		base, has = w.req.Baseline.Queries[name(p)]
	}
	if p.Query.Bound.Times > 0 && !has {
		return sample{answer: "there is no baseline from before the fence to compare with", unasked: true}
	}
	n := w.number(ctx, p, migration.AWS)
	switch {
	case n.err != nil:
		return sample{answer: "not asked: " + n.err.Error(), unasked: true}
	case !n.known:
		return sample{answer: "there is no number yet", unasked: true}
	}
	answer := fmt.Sprintf("%s on AWS, allowed %s", short(n.value), p.Query.Bound)
	if p.Query.Bound.Times > 0 {
		answer = fmt.Sprintf("%s on AWS, %s before, allowed %s", short(n.value), short(base), p.Query.Bound)
	}
	return sample{ok: p.Query.Bound.Allows(n.value, base), answer: answer}
}

func short(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// number asks for a customer's number on a side. Customers whose query is the same share it.
func (w *watcher) number(ctx context.Context, p migration.Probe, side migration.Side) number {
	ask, key := w.ofMetric, w.req.Plan+"/"+string(side)+"/"+name(p)
	if prom := p.Query.Prometheus; prom != nil {
		query := named(prom.Query, w.req.Slice.Customer, side)
		key = prom.URL + " " + query
		ask = func(ctx context.Context, _ migration.Probe, _ migration.Side) number {
			return w.ofPrometheus(ctx, *prom, query, time.Time{})
		}
	} else {
		key += "/" + w.workloads()
	}
	n, ok := w.numbers.ask(ctx, key, p.Every.D()/2, func(ctx context.Context) number {
		ctx, cancel := context.WithTimeout(ctx, queryTimeout)
		defer cancel()
		return ask(ctx, p, side)
	})
	if !ok {
		return number{err: ctx.Err()}
	}
	return n
}

func (w *watcher) workloads() string {
	var names []string
	for _, wl := range w.req.Slice.Workloads {
		names = append(names, wl.Name)
	}
	return strings.Join(names, ",")
}

// named puts the customer into a query.
func named(query string, c migration.Customer, side migration.Side) string {
	host := ""
	if len(c.Hosts) > 0 {
		host = c.Hosts[0]
	}
	return strings.NewReplacer("{customer}", c.ID, "{tenant}", strconv.FormatInt(c.Tenant, 10), "{host}", host,
		"{side}", string(side)).Replace(query)
}

// ofMetric is the worst number over the target groups of the customer's workloads.
func (w *watcher) ofMetric(ctx context.Context, p migration.Probe, side migration.Side) (worst number) {
	err := w.metrics(ctx, w.req.Plan, w.req.Slice, []migration.Side{side}, *p.Query.CloudWatch, time.Now(), func(v float64) {
		if !worst.known || v > worst.value {
			worst = number{value: v, known: true}
		}
	})
	if err != nil {
		return number{err: err}
	}
	return worst
}

// metrics hands over each number that the load balancer has of a customer's workloads on some
// sides, as it could be read at a time.
func (d *Doctor) metrics(ctx context.Context, plan string, slice migration.CustomerSlice, sides []migration.Side,
	query migration.CloudWatchQuery, at time.Time, take func(float64)) error {
	for _, r := range slice.Routes {
		for _, w := range slice.Workloads {
			if w.Ingress == nil {
				continue
			}
			for _, side := range sides {
				v, known, err := d.backends.Metric(ctx, plan, slice.Target(r.Target()), r, w, side, query, at)
				if err != nil {
					return fmt.Errorf("metric %s of workload %q on %s: %w", query.Metric, w.Name, side, err)
				}
				if known {
					take(v)
				}
			}
		}
	}
	return nil
}

// ofPrometheus asks a Prometheus for one number, as of a moment.
func (d *Doctor) ofPrometheus(ctx context.Context, p migration.PrometheusQuery, query string, at time.Time) number {
	v, known, err := d.askPrometheus(ctx, p, query, at)
	if err != nil {
		return number{err: fmt.Errorf("ask Prometheus at %s: %w", p.URL, err)}
	}
	return number{value: v, known: known}
}

func (d *Doctor) askPrometheus(ctx context.Context, p migration.PrometheusQuery, query string, at time.Time,
) (v float64, known bool, err error) {
	asked := url.Values{"query": {query}}
	if !at.IsZero() { // else now, by the clock of Prometheus
		asked.Set("time", strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64))
	}
	address := strings.TrimSuffix(p.URL, "/") + "/api/v1/query?" + asked.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, false, errors.New("the address cannot be used")
	}
	if p.Token != "" {
		token, err := d.secrets.Resolve(ctx, p.Token)
		if err != nil {
			return 0, false, fmt.Errorf("its token: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
	}
	res, err := d.prober.plain.Do(req)
	if err != nil {
		return 0, false, errors.New(brief(err, queryTimeout))
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, longestAnswer))
	if err != nil {
		return 0, false, errors.New(brief(err, queryTimeout))
	}
	return prometheusNumber(res.StatusCode, body)
}

// prometheusNumber reads the answer to an instant query: a scalar, or a vector of one sample. An
// empty vector, or NaN, is no number yet.
func prometheusNumber(status int, body []byte) (v float64, known bool, err error) {
	var out struct {
		Status, Error string
		Data          struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if json.Unmarshal(body, &out) != nil {
		return 0, false, fmt.Errorf("it answers %d and no JSON", status)
	}
	if out.Status != "success" {
		return 0, false, fmt.Errorf("it answers %d: %s", status, bounded(out.Error))
	}
	var value []any
	switch out.Data.ResultType {
	case "scalar":
		err = json.Unmarshal(out.Data.Result, &value)
	case "vector":
		var series []struct{ Value []any }
		err = json.Unmarshal(out.Data.Result, &series)
		switch len(series) {
		case 0:
			return 0, false, err
		case 1:
			value = series[0].Value
		default:
			return 0, false, fmt.Errorf("the query answers %d series; one number is wanted: sum them up", len(series))
		}
	default:
		return 0, false, fmt.Errorf("the query answers a %s; one number is wanted", out.Data.ResultType)
	}
	if err != nil || len(value) != 2 {
		return 0, false, errors.New("its answer cannot be read")
	}
	text, _ := value[1].(string)
	v, err = strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, false, errors.New("its answer is no number")
	}
	return v, !math.IsNaN(v), nil
}

// queryTries is how often a baseline asks for a number that is not there.
const queryTries = 3

// measureQueries takes the numbers of a customer at home. One that is not there is an error:
// without it nothing could be said of the customer on AWS.
func (w *watcher) measureQueries(ctx context.Context) (map[string]float64, error) {
	var out map[string]float64
	for _, p := range w.req.Slice.Health.Probes {
		if p.Query == nil || p.Query.Bound.Times == 0 {
			continue
		}
		var n number
		for try := range queryTries {
			if try > 0 && !sleep(ctx, p.Every.D()) {
				break
			}
			if n = w.number(ctx, p, migration.OnPrem); n.known && n.err == nil {
				break
			}
		}
		switch {
		case n.err != nil:
			return nil, fmt.Errorf("measure %s at home: %w", name(p), n.err)
		case !n.known:
			return nil, fmt.Errorf("measure %s at home: there is no number; give the probe a query that has one at home too, or a bound "+
				"without a baseline", name(p))
		}
		if out == nil {
			out = map[string]float64{}
		}
		out[name(p)] = n.value
	}
	return out, nil
}

// bounded cuts what a foreign server says: it goes into histories and onto pages.
func bounded(text string) string {
	const most = 300 // characters
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "..."
	}
	return text
}
