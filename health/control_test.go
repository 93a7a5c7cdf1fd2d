package health

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

func briefly(p migration.Probe) Question {
	return Question{Slice: slice(p), For: migration.Duration(300 * time.Millisecond)}
}

func TestAWorkerThatReachesNothingJudgesNobody(t *testing.T) {
	v := watch(t, places{front: nobody(t)}, briefly(httpProbe("/", 1)))
	require.Equal(t, migration.Inconclusive, v.Outcome)
	require.Contains(t, v.Reason, "this worker reaches nothing at the load balancer")
	require.Contains(t, v.Reason, "connection refused")
	require.Contains(t, v.Blind, "this worker reaches nothing at the load balancer")
	require.Zero(t, v.Errors, "nothing counts against the customer")
}

func TestAWatchThatReachesNothingAnyMoreDoesNotGoOnToItsEnd(t *testing.T) {
	s := serve(t, always(200))
	d := New(places{front: s.at()}, nil, "")
	w, err := d.watcher(t.Context(), Question{Slice: slice(httpProbe("/", 1)), For: migration.Duration(time.Hour)}, func(n int) {
		if n == 5 {
			s.Close()
		}
	})
	require.NoError(t, err)
	w.blindMost = 200 * time.Millisecond
	v, err := w.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, migration.Inconclusive, v.Outcome)
	require.Contains(t, v.Blind, "this worker reaches nothing at the load balancer")
	require.Equal(t, 5, v.Samples)
	require.Zero(t, v.Errors)
}

func TestAProbeThatHasNoGoodAnswerIsNotBlind(t *testing.T) {
	s := serve(t, always(500))
	v := watch(t, places{front: s.at()}, briefly(httpProbe("/", 1000)))
	require.Equal(t, migration.Inconclusive, v.Outcome)
	require.Empty(t, v.Blind, "it was asked, and is to be looked at")
}

// A blip of the worker's own network: the customer's samples and the control samples fail together,
// and then neither does.
func TestABlipOfTheWorkerCountsAgainstNobody(t *testing.T) {
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if n.Add(1) <= 8 {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(s.Close)
	v := watch(t, places{front: Endpoint{Address: s.Listener.Addr().String()}},
		Question{Slice: slice(httpProbe("/", 1)), For: migration.Duration(1500 * time.Millisecond)})
	require.Equal(t, migration.Pass, v.Outcome, v.Reason)
	require.Zero(t, v.Errors)
}

// Everything on AWS hangs, for its anchor too, and the load balancer's default action answers:
// customers go back.
func TestASideThatHangsForEveryoneIsNotTheWorkersFault(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != controlHost {
			<-r.Context().Done()
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(s.Close)
	p := httpProbe("/", 2)
	p.Timeout = migration.Duration(50 * time.Millisecond)
	v := watch(t, places{front: Endpoint{Address: s.Listener.Addr().String()}},
		Question{Slice: slice(p), For: migration.Duration(time.Minute)})
	require.Equal(t, migration.Fail, v.Outcome, v.Reason)
}

func TestAMachineThatTheLoadBalancerFindsHealthyIsNotReachedByThisWorkerAlone(t *testing.T) {
	at := nobody(t)
	at.Healthy = true
	v := watch(t, places{behind: map[string][]Endpoint{"web": {at}}}, briefly(tcpProbe(1)))
	require.Equal(t, migration.Inconclusive, v.Outcome)
	require.Contains(t, v.Reason, "this worker does not reach it")
}

func TestACustomerWithoutABaselineIsNotCalledWellWhereThePlanCompares(t *testing.T) {
	s := serve(t, always(200))
	q := briefly(httpProbe("/", 1))
	q.Slice.Health.Compare = &migration.Compare{MinSamples: 1, ErrorRate: &migration.Bound{Times: 1}}
	require.Equal(t, migration.Pass, watch(t, places{front: s.at()}, q).Outcome, "a look that compares nothing")
	q.Compare = true
	v := watch(t, places{front: s.at()}, q)
	require.Equal(t, migration.Inconclusive, v.Outcome)
	require.Contains(t, v.Reason, "there is no baseline")
}

func TestAWatchThatIsCutOffSaysWhatItWouldHaveSaid(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(n int64, _ *http.Request) int {
		if n == 3 {
			cancel()
		}
		return 200
	})
	v, err := New(places{front: s.at()}, nil, "").Watch(ctx, Question{Slice: slice(httpProbe("/", 1)), For: migration.Duration(time.Hour)},
		quiet)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, migration.Pass, v.Outcome)
	require.Positive(t, v.Samples)
}

// many are customers that differ in their hosts.
func many(n int, probes ...migration.Probe) (out []migration.CustomerSlice) {
	for i := range n {
		c := slice(probes...)
		c.Customer.ID = fmt.Sprintf("c%03d", i)
		c.Customer.Hosts = []string{c.Customer.ID + ".example.com"}
		out = append(out, c)
	}
	return out
}

func TestALookAtManyHasAVerdictOfEach(t *testing.T) {
	var second atomic.Int64
	s := serve(t, func(_ int64, r *http.Request) int {
		switch {
		case strings.HasPrefix(r.Host, "c007."):
			return 500
		case strings.HasPrefix(r.Host, "c008.") && second.Add(1) == 1:
			return 502
		}
		return 200
	})
	said := 0
	verdicts, blind, err := New(places{front: s.at()}, nil, "").Look(t.Context(), "p", many(300, httpProbe("/healthz", 2)),
		func(n int) { said = max(said, n) })
	require.NoError(t, err)
	require.Empty(t, blind)
	require.Len(t, verdicts, 300)
	require.Equal(t, 300, said)
	for id, v := range verdicts {
		want := migration.Pass
		if id == "c007" {
			want = migration.Fail
		}
		require.Equal(t, want, v.Outcome, "%s: %s", id, v.Reason)
	}
	require.Contains(t, verdicts["c007"].Reason, "failed 2 times in a row, last: HTTP 500")
	require.LessOrEqual(t, s.asked.Load(), int64(302), "one answer of each that is well")
}

func TestALookOfAWorkerThatReachesNothingSaysSoAndJudgesNobody(t *testing.T) {
	verdicts, blind, err := New(places{front: nobody(t)}, nil, "").Look(t.Context(), "p", many(40, httpProbe("/", 3)), quiet)
	require.NoError(t, err)
	require.Contains(t, blind, "this worker reaches nothing")
	for _, v := range verdicts {
		require.Equal(t, migration.Inconclusive, v.Outcome)
	}
	require.Len(t, verdicts, 40)
}
