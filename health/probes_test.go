package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// shop is an application that keeps what it is asked to write.
type shop struct {
	*httptest.Server
	mu      sync.Mutex
	orders  map[string]string // by token
	written int
	refuse  bool // it takes no writes
	keep    bool // it takes nothing away
}

func openShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{orders: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Host != "probe.example.com" || r.Header.Get("Content-Type") != "application/json":
			w.WriteHeader(http.StatusMisdirectedRequest)
		case s.refuse:
			http.Error(w, "read only", http.StatusServiceUnavailable)
		default:
			s.orders[r.URL.Query().Get("token")] = string(body)
			s.written++
			w.WriteHeader(http.StatusCreated)
		}
	})
	mux.HandleFunc("DELETE /orders/{token}", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.keep {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		delete(s.orders, r.PathValue("token"))
	})
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *shop) at() places {
	e := Endpoint{Address: s.Listener.Addr().String(), Healthy: true}
	return places{front: e, behind: map[string][]Endpoint{"web": {e}}}
}

func (s *shop) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.orders)
}

func (s *shop) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func writeProbe(failAfter int) migration.Probe {
	p := httpProbe("", failAfter)
	p.HTTP = nil
	p.Write = &migration.WriteProbe{Tenant: 9000, Host: "probe.example.com", Method: "POST", Path: "/orders?token={token}",
		Type: "application/json", Body: `{"token": "{token}"}`, Expect: 201, Cleanup: migration.Cleanup{Method: "DELETE", Path: "/orders/{token}"}}
	return p
}

func TestASideThatTakesWritesIsHealthyAndKeepsNoneOfThem(t *testing.T) {
	s := openShop(t)
	v := watch(t, s.at(), briefly(writeProbe(1)))
	require.Equal(t, migration.Pass, v.Outcome, v.Reason)
	s.set(func() { require.Positive(t, s.written) })
	require.Eventually(t, func() bool { return s.left() == 0 }, 5*time.Second, 5*time.Millisecond)
}

func TestASideThatTakesNoWritesIsNotHealthyThoughItsPagesAnswer(t *testing.T) {
	s := openShop(t)
	s.set(func() { s.refuse = true })
	q := briefly(httpProbe("/healthz", 1))
	q.For = migration.Duration(time.Hour)
	q.Slice.Health.Probes = append(q.Slice.Health.Probes, writeProbe(2))
	v := watch(t, s.at(), q)
	require.Equal(t, migration.Fail, v.Outcome, v.Reason)
	require.Contains(t, v.Reason, "probe write POST /orders?token={token} failed 2 times in a row, last: web at ")
	require.Contains(t, v.Reason, "HTTP 503")

	found, err := check(t.Context(), New(s.at(), nil, ""), q.Slice, migration.AWS)
	require.NoError(t, err)
	require.Len(t, found, 1, "nobody is moved there")
	require.Contains(t, found[0].Reason, "HTTP 503")
}

func TestAWriteThatCannotBeTakenAwayAgainIsSaid(t *testing.T) {
	s := openShop(t)
	s.set(func() { s.keep = true })
	q := briefly(writeProbe(1))
	v := watch(t, s.at(), q)
	require.Equal(t, migration.Fail, v.Outcome)
	require.Contains(t, v.Reason, "HTTP 201, and what was written could not be taken away again: HTTP 500")
}

func TestAWriteThatWasBegunIsTakenAwayAlsoWhenNobodyWaitsForItsAnswer(t *testing.T) {
	s := openShop(t)
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, _ = New(s.at(), nil, "").Watch(ctx, briefly(writeProbe(1)), quiet)
		cancel()
	}
	require.Eventually(t, func() bool { return s.left() == 0 }, 5*time.Second, 5*time.Millisecond)
}

func TestManyCustomersOfOneMachineShareAWrite(t *testing.T) {
	s := openShop(t)
	p := writeProbe(1)
	p.Every = migration.Duration(time.Minute)
	verdicts, _, err := New(s.at(), nil, "").Look(t.Context(), "p", many(100, p), quiet)
	require.NoError(t, err)
	for id, v := range verdicts {
		require.Equal(t, migration.Pass, v.Outcome, "%s: %s", id, v.Reason)
	}
	s.set(func() { require.Equal(t, 1, s.written) })
}

func TestAMachineThatOnlyThisWorkerDoesNotReachIsNotJudgedByItsWrites(t *testing.T) {
	at := nobody(t)
	at.Healthy = true
	v := watch(t, places{behind: map[string][]Endpoint{"web": {at}}}, briefly(writeProbe(1)))
	require.Equal(t, migration.Inconclusive, v.Outcome)
	require.Contains(t, v.Reason, "this worker does not reach it")
}

// prometheus answers queries by what answer says.
func prometheus(t *testing.T, answer func(query string) string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"status": "error", "error": "no"}`)
			return
		}
		_, _ = io.WriteString(w, answer(r.URL.Query().Get("query")))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func vector(values ...string) string {
	var out []string
	for _, v := range values {
		out = append(out, `{"metric": {}, "value": [1, "`+v+`"]}`)
	}
	return `{"status": "success", "data": {"resultType": "vector", "result": [` + strings.Join(out, ",") + `]}}`
}

type secret string

func (s secret) Resolve(_ context.Context, ref migration.SecretRef) (string, error) {
	if ref != "env://TOKEN" {
		return "", errors.New("unknown")
	}
	return string(s), nil
}

func queryProbe(url string, bound migration.Bound) migration.Probe {
	p := httpProbe("", 2)
	p.HTTP = nil
	p.Query = &migration.QueryProbe{Bound: bound,
		Prometheus: &migration.PrometheusQuery{URL: url, Query: `errors{host="{host}", side="{side}"}`, Token: "env://TOKEN"}}
	return p
}

func TestANumberIsHeldAgainstTheCustomersOwnFromHome(t *testing.T) {
	on := map[string]string{"onprem": "4", "aws": "6"}
	var mu sync.Mutex
	url := prometheus(t, func(q string) string {
		mu.Lock()
		defer mu.Unlock()
		for side, v := range on {
			if q == `errors{host="acme.example.com", side="`+side+`"}` {
				return vector(v)
			}
		}
		return vector()
	})
	d := New(places{}, secret("s3cret\n"), "")
	q := briefly(queryProbe(url, migration.Bound{Times: 1.5, Plus: 1}))
	base, err := d.MeasureBaseline(t.Context(), q, quiet)
	require.NoError(t, err)
	require.Equal(t, 4.0, base.Queries[name(q.Slice.Health.Probes[0])])

	q.Baseline, q.Compare = &base, true
	v, err := d.Watch(t.Context(), q, quiet)
	require.NoError(t, err)
	require.Equal(t, migration.Pass, v.Outcome, v.Reason)

	mu.Lock()
	on["aws"] = "8"
	mu.Unlock()
	v, err = d.Watch(t.Context(), q, quiet)
	require.NoError(t, err)
	require.Equal(t, migration.Fail, v.Outcome)
	require.Contains(t, v.Reason, "last: 8 on AWS, 4 before, allowed <= 1.5x + 1")

	q.Baseline = nil
	v, err = d.Watch(t.Context(), q, quiet)
	require.NoError(t, err)
	require.Equal(t, migration.Inconclusive, v.Outcome, "nobody is called well who could not be compared")
	require.Contains(t, v.Reason, "there is no baseline")
}

func TestANumberThatIsNotThereCountsNeitherWay(t *testing.T) {
	bound := migration.Bound{Plus: 5}
	for answer, why := range map[string]string{
		vector():         "there is no number yet",
		vector("NaN"):    "there is no number yet",
		vector("1", "2"): "the query answers 2 series; one number is wanted: sum them up",
		"no":             "it answers 200 and no JSON",
		`{"status": "error", "error": "parse error"}`: "it answers 200: parse error",
	} {
		q := briefly(queryProbe(prometheus(t, func(string) string { return answer }), bound))
		q.Compare = true
		v, err := New(places{}, secret("s3cret"), "").Watch(t.Context(), q, quiet)
		require.NoError(t, err)
		require.Equal(t, migration.Inconclusive, v.Outcome, answer)
		require.Contains(t, v.Reason, why)
		require.Zero(t, v.Errors)
	}
	q := briefly(queryProbe(prometheus(t, func(string) string { return vector("5") }), bound))
	v, err := New(places{}, secret("s3cret"), "").Watch(t.Context(), q, quiet)
	require.NoError(t, err)
	require.Equal(t, migration.Pass, v.Outcome, v.Reason)
}

func TestACustomerWithoutANumberAtHomeIsNotMoved(t *testing.T) {
	q := briefly(queryProbe(prometheus(t, func(string) string { return vector() }), migration.Bound{Times: 2}))
	_, err := New(places{}, secret("s3cret"), "").MeasureBaseline(t.Context(), q, quiet)
	require.ErrorContains(t, err, "at home: there is no number; give the probe a query that has one at home too")
	q.Slice.Health.Probes[0].Query.Prometheus.Token = "env://OTHER"
	_, err = New(places{}, secret("s3cret"), "").MeasureBaseline(t.Context(), q, quiet)
	require.ErrorContains(t, err, "its token: unknown")
}

func TestALookAtThoseWhoSoakIsNotStoppedByANumberThatIsNotThere(t *testing.T) {
	shop := openShop(t)
	at := shop.at()
	at.metric = func() (float64, bool, error) { return 0, false, errors.New("throttled") }
	p := queryProbe("", migration.Bound{Plus: 5})
	p.Query.Prometheus, p.Query.CloudWatch = nil, &migration.CloudWatchQuery{Metric: "TargetResponseTime", Statistic: "p95"}
	verdicts, blind, err := New(at, nil, "").Look(t.Context(), "p", many(3, httpProbe("/healthz", 1), p), quiet)
	require.NoError(t, err)
	require.Empty(t, blind)
	for _, v := range verdicts {
		require.Equal(t, migration.Pass, v.Outcome, v.Reason)
	}
	at.metric = func() (float64, bool, error) { return 6, true, nil }
	verdicts, _, err = New(at, nil, "").Look(t.Context(), "p", many(3, httpProbe("/healthz", 1), p), quiet)
	require.NoError(t, err)
	for _, v := range verdicts {
		require.Equal(t, migration.Fail, v.Outcome, v.Reason)
	}
}

// meters answers as CloudWatch does.
type meters struct {
	in  *cloudwatch.GetMetricStatisticsInput
	out []types.Datapoint
}

func (m *meters) GetMetricStatistics(_ context.Context, in *cloudwatch.GetMetricStatisticsInput, _ ...func(*cloudwatch.Options),
) (*cloudwatch.GetMetricStatisticsOutput, error) {
	m.in = in
	return &cloudwatch.GetMetricStatisticsOutput{Datapoints: m.out}, nil
}

func TestAMetricIsThatOfTheTargetGroupBehindTheLoadBalancer(t *testing.T) {
	const (
		listener = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/front/50dc6c495c0c9188/f2f7dc8efc522ab2"
		group    = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/73e2d6bc24d8a067"
	)
	now := time.Date(2026, 11, 3, 10, 7, 30, 0, time.UTC)
	at := func(minute int) *time.Time { return aws.Time(time.Date(2026, 11, 3, 10, minute, 0, 0, time.UTC)) }
	for _, c := range []struct {
		statistic string
		points    []types.Datapoint
		want      float64
		known     bool
	}{
		{"Sum", nil, 0, true},
		{"Average", nil, 0, false},
		{"Sum", []types.Datapoint{{Timestamp: at(5), Sum: aws.Float64(7)}, {Timestamp: at(4), Sum: aws.Float64(9)}}, 7, true},
		{"p95", []types.Datapoint{{Timestamp: at(5), ExtendedStatistics: map[string]float64{"p95": 0.25}}}, 0.25, true},
	} {
		m := &meters{out: c.points}
		v, known, err := Metric(t.Context(), m, listener, group,
			migration.CloudWatchQuery{Metric: "TargetResponseTime", Statistic: c.statistic, Over: migration.Duration(2 * time.Minute)}, now)
		require.NoError(t, err)
		require.Equal(t, c.want, v, c.statistic)
		require.Equal(t, c.known, known, c.statistic)
		require.Equal(t, "app/front/50dc6c495c0c9188", *m.in.Dimensions[0].Value)
		require.Equal(t, "targetgroup/web/73e2d6bc24d8a067", *m.in.Dimensions[1].Value)
		require.Equal(t, "10:04 to 10:06", fmt.Sprintf("%s to %s", m.in.StartTime.Format("15:04"), m.in.EndTime.Format("15:04")))
		require.Equal(t, int32(120), *m.in.Period)
	}
}
