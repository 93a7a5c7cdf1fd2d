package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// counting answers each query once by what is said of it, and notes as of when it was asked.
func counting(t *testing.T, says map[string]string) (url string, asked *sync.Map) {
	t.Helper()
	asked = &sync.Map{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		asked.Store(q.Get("query"), q.Get("time"))
		answer, ok := says[q.Get("query")]
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
			answer = `{"status": "error", "error": "query timed out"}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func ofPrometheus(url, query string) *migration.CountQuery {
	return &migration.CountQuery{Prometheus: &migration.PrometheusQuery{URL: url, Query: query}}
}

func around(named migration.RequestQueries) RequestsQuestion {
	return RequestsQuestion{
		Plan: "p", Side: migration.AWS, From: time.Date(2026, 12, 2, 22, 4, 10, 0, time.UTC),
		To: time.Date(2026, 12, 2, 22, 6, 12, 5e8, time.UTC),
		Slice: migration.CustomerSlice{
			Customer: migration.Customer{ID: "acme", Tenant: 17, Hosts: []string{"acme.example.com"}},
			Routes:   []migration.Route{{Name: "public", ALB: &migration.ALB{Listener: "listener"}}},
			Workloads: []migration.Workload{{Name: "web", Ingress: &migration.Ingress{Port: 80}}, {Name: "jobs"},
				{Name: "api", Ingress: &migration.Ingress{Port: 81}}},
			Health: migration.Health{Requests: &named},
		},
	}
}

func TestRequestsAreCountedOverTheTimeOfAMoveAndAsOfItsEnd(t *testing.T) {
	failed := `increase(errors{host="acme.example.com",tenant="17",side="aws"}[123s])`
	url, asked := counting(t, map[string]string{failed: vector("3.0412"), "retries[123s]": vector("0")})
	q := around(migration.RequestQueries{Failed: ofPrometheus(url, `increase(errors{host="{host}",tenant="{tenant}",side="{side}"}[{window}])`),
		Retried: ofPrometheus(url, "retries[{window}]")})
	for range 2 { // whenever it is asked
		f, r := New(places{}, nil, "").CountRequests(t.Context(), q)
		require.Equal(t, &migration.Count{N: 3}, f)
		require.Equal(t, &migration.Count{}, r, "none is a number")
		require.True(t, r.Known())
	}
	at, _ := asked.Load(failed)
	require.Equal(t, fmt.Sprintf("%d.500", q.To.Unix()), at)
}

func TestWhyThereIsNoNumberOfRequestsIsSaidInItsPlace(t *testing.T) {
	for answer, why := range map[string]string{
		vector():         "the query has no number for that time",
		vector("NaN"):    "the query has no number for that time",
		vector("1", "2"): "the query answers 2 series; one number is wanted: sum them up",
		vector("-2"):     "the query answers -2, which is no number of requests",
		vector("+Inf"):   "the query answers +Inf, which is no number of requests",
		"":               "it answers 200 and no JSON",
	} {
		url, _ := counting(t, map[string]string{"q": answer, "other": vector("4")})
		f, r := New(places{}, nil, "").CountRequests(t.Context(),
			around(migration.RequestQueries{Failed: ofPrometheus(url, "q"), Retried: ofPrometheus(url, "other")}))
		require.Contains(t, f.Why, why, answer)
		require.False(t, f.Known())
		require.Equal(t, &migration.Count{N: 4}, r, "one that has no number keeps no other")
	}
	gone, _ := counting(t, nil)
	f, r := New(places{}, nil, "").CountRequests(t.Context(), around(migration.RequestQueries{Failed: ofPrometheus(gone, "q")}))
	require.Contains(t, f.Why, "it answers 503: query timed out")
	require.Nil(t, r, "the plan names no query for it")
	q := around(migration.RequestQueries{})
	q.Slice.Health.Requests = nil
	f, r = New(places{}, nil, "").CountRequests(t.Context(), q)
	require.Nil(t, f)
	require.Nil(t, r)
}

// meter is a load balancer that counts the same of every group.
type meter struct {
	places
	n     float64
	err   error
	asked []string
}

func (m *meter) Metric(_ context.Context, _ string, _ migration.Target, _ migration.Route, w migration.Workload, side migration.Side,
	q migration.CloudWatchQuery, at time.Time) (float64, bool, error) {
	m.asked = append(m.asked, fmt.Sprintf("%s of %s on %s: %s %s as of %s", q.Metric, w.Name, side, q.Statistic, q.Over,
		at.Format("15:04:05")))
	return m.n, m.n > 0, m.err
}

func TestAMetricOfTheLoadBalancerIsAddedUpOverBothSidesInWholeMinutes(t *testing.T) {
	m := &meter{n: 2}
	by := &migration.CountQuery{CloudWatch: &migration.CloudWatchQuery{Metric: "HTTPCode_Target_5XX_Count", Statistic: "Sum"}}
	f, _ := New(m, nil, "").CountRequests(t.Context(), around(migration.RequestQueries{Failed: by}))
	require.Equal(t, &migration.Count{N: 8}, f)
	const over = "Sum 3m0s as of 22:08:00" // 22:04 to 22:07, which CloudWatch has a minute later
	require.Equal(t, []string{
		"HTTPCode_Target_5XX_Count of web on onprem: " + over, "HTTPCode_Target_5XX_Count of web on aws: " + over,
		"HTTPCode_Target_5XX_Count of api on onprem: " + over, "HTTPCode_Target_5XX_Count of api on aws: " + over,
	}, m.asked)
	m.n = 0 // no load balancer counts for any of the groups
	f, _ = New(m, nil, "").CountRequests(t.Context(), around(migration.RequestQueries{Failed: by}))
	require.Equal(t, "the query has no number for that time", f.Why)
	m.err = errors.New("throttled")
	f, _ = New(m, nil, "").CountRequests(t.Context(), around(migration.RequestQueries{Failed: by}))
	require.Equal(t, `metric HTTPCode_Target_5XX_Count of workload "web" on onprem: throttled`, f.Why)
}

func TestPreflightAsksEachQueryForRequestsOnce(t *testing.T) {
	url, asked := counting(t, map[string]string{"fine[120s]": vector("0"), "empty[120s]": vector()})
	spec := &migration.Spec{Plan: "p", Customers: []migration.Customer{{ID: "acme"}, {ID: "zeta"}}}
	d := New(places{}, nil, "")
	require.Empty(t, d.CheckRequests(t.Context(), spec), "a plan that names nobody")
	spec.Health.Requests = &migration.RequestQueries{Failed: ofPrometheus(url, "fine[{window}]"),
		Retried: ofPrometheus(url, "empty[{window}]")}
	require.Equal(t, []migration.Finding{{Severity: migration.Warning, Check: "requests-not-counted", Subject: "health.requests.retried",
		Reason: "asked for customer acme: the query has no number for that time",
		Remedy: "mend the query, or what answers it; customers move all the same, and these requests are shown as not measured"}},
		d.CheckRequests(t.Context(), spec))
	n := 0
	asked.Range(func(any, any) bool { n++; return true })
	require.Equal(t, 2, n)
}
