package freeze_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/activities/freeze"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
)

// secrets are all the same.
type secrets struct{}

func (secrets) Resolve(context.Context, migration.SecretRef) (string, error) {
	return "whsec_bm90aGluZyBidXQgdHdlbnR5LWZvdXIgYnl0ZXM=", nil
}

// queue is a receiver of hooks. Its answers come one after the other, the last for good.
type queue struct {
	*httptest.Server
	mu    sync.Mutex
	says  []func(w http.ResponseWriter, req *http.Request)
	calls []migration.HookCall
	asked func()
}

func answers(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func hangs(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }

func newQueue(t *testing.T, says ...func(http.ResponseWriter, *http.Request)) *queue {
	t.Helper()
	q := &queue{says: says, asked: func() {}}
	q.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var got struct{ Data migration.HookCall }
		body, _ := io.ReadAll(req.Body)
		_ = json.Unmarshal(body, &got)
		q.mu.Lock()
		q.calls = append(q.calls, got.Data)
		say := q.says[min(len(q.calls), len(q.says))-1]
		q.asked()
		q.mu.Unlock()
		say(w, req)
	}))
	t.Cleanup(q.Close)
	return q
}

// at has the queue called at events.
func (q *queue) at(wayBack migration.WayBack, events ...migration.HookEvent) (out []migration.Hook) {
	for _, e := range events {
		out = append(out, migration.Hook{Event: e, Webhook: &migration.WebhookChannel{URL: q.URL}, Timeout: migration.Duration(time.Minute),
			Takes: migration.Duration(100 * time.Millisecond), WayBack: wayBack})
	}
	return out
}

func TestHooksAreCalledWhileTheFenceStandsAndAllIsAtTheDestination(t *testing.T) {
	w := newWorld(t)
	q := newQueue(t, answers(503, ""), answers(200, "drained"))
	q.asked = func() {
		for _, d := range w.slice.Databases {
			h, err := pairs[d.Name].Home(t.Context(), w.slice.Customer.Tenant)
			require.NoError(t, err)
			require.Equal(t, migration.Fenced, h.OnPrem.State, d.Name)
			require.Equal(t, migration.Sealed, h.AWS.State, d.Name)
		}
	}
	w.slice.Hooks = q.at(migration.WayBackCall, migration.HookBeforeSeal, migration.HookBeforeOpen)
	w.slice.Batch.Name, w.trees.predicted = "canary", 40*time.Millisecond
	req := w.request(migration.OnPrem)
	begun := time.Now()
	r := w.freeze(req)
	require.Empty(t, r.Reason)
	require.Equal(t, migration.AWS, w.home())
	require.Len(t, q.calls, 3, "the first failed, and was made again")
	require.Equal(t, []string{q.calls[0].Key(), "p/acme/1/beforeSeal", "p/acme/1/beforeOpen"},
		[]string{q.calls[1].Key(), q.calls[0].Key(), q.calls[2].Key()})
	require.Equal(t, "canary", q.calls[0].Batch)
	require.WithinRange(t, q.calls[0].Deadline, begun, time.Now().Add(w.slice.Policy.FreezeBudget.D()), "when the fence runs out")
	require.Positive(t, r.Took.Hooks)
	require.GreaterOrEqual(t, r.Opened.Sub(r.Fenced), r.Took.Hooks.D())
	require.EqualValues(t, 40*time.Millisecond+engine.StepsTake+200*time.Millisecond, r.Predicted, "with what the hooks take")
}

// Where a hook does not answer, the try ends while the fence stands: enough of the lease is left to
// open the home, and nothing was sealed.
func TestAHookThatDoesNotAnswerEndsTheTryBeforeTheSeal(t *testing.T) {
	for name, tt := range map[string]struct {
		says func(http.ResponseWriter, *http.Request)
		why  string
	}{
		"it hangs":         {hangs, "hook beforeSeal: no answer within the "},
		"it fails":         {answers(503, ""), "that the freeze left for it: the receiver answered 503 Service Unavailable"},
		"it refuses":       {answers(401, ""), "hook beforeSeal: the receiver answered 401 Unauthorized"},
		"it holds":         {answers(200, `{"hold": "12 messages"}`), "hook beforeSeal holds it: 12 messages"},
		"it says nonsense": {answers(200, `{"hold": 12}`), `hook beforeSeal: not within the `},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.slice.Policy.FreezeBudget = migration.Duration(time.Second)
			w.slice.Hooks = newQueue(t, tt.says).at(migration.WayBackCall, migration.HookBeforeSeal)
			r := w.freeze(w.request(migration.OnPrem))
			require.Equal(t, migration.StepCalling, r.Step)
			require.Contains(t, r.Reason, tt.why)
			require.False(t, r.Doubtful())
			require.Less(t, r.Took.Hooks, w.slice.Policy.FreezeBudget)
			require.Equal(t, name == "it holds", r.Hold != "")
			w.settle(migration.OnPrem)
			require.Equal(t, migration.OnPrem, w.home())
		})
	}
}

func TestAHookThatCannotBeReachedIsFoundBeforeTheFence(t *testing.T) {
	w := newWorld(t)
	q := newQueue(t, answers(200, ""))
	w.slice.Hooks = q.at(migration.WayBackMust, migration.HookBeforeSeal)
	q.Close()
	for _, from := range []migration.Side{migration.OnPrem, migration.AWS} {
		r := w.freeze(w.request(from))
		require.Equal(t, migration.StepChecking, r.Step)
		require.Zero(t, r.Fenced)
		require.Contains(t, r.Reason, "hook beforeSeal: its receiver takes no connection")
	}
	require.Equal(t, migration.OnPrem, w.home())
	v, err := w.env.ExecuteActivity(w.do.CheckFreezeHooks, freeze.CheckFreezeHooksRequest{Hooks: w.slice.Hooks})
	require.NoError(t, err)
	var found []migration.Finding
	require.NoError(t, v.Get(&found))
	require.Len(t, migration.Blockers(found), 1)
}

// A hook keeps nobody from going home, unless the plan says so.
func TestOnTheWayHomeAHookIsCalledOnceAndPassedOver(t *testing.T) {
	w := newWorld(t)
	q := newQueue(t, answers(200, ""), answers(503, ""))
	w.slice.Hooks = q.at(migration.WayBackCall, migration.HookBeforeSeal)
	require.Empty(t, w.freeze(w.request(migration.OnPrem)).Reason)
	r := w.freeze(w.request(migration.AWS))
	require.Empty(t, r.Reason)
	require.Equal(t, []string{"hook beforeSeal: the receiver answered 503 Service Unavailable"}, r.Missed)
	require.Len(t, q.calls, 2)
	require.Equal(t, migration.OnPrem, w.home())

	q.says = []func(http.ResponseWriter, *http.Request){answers(200, "")}
	require.Empty(t, w.freeze(w.request(migration.OnPrem)).Reason)
	q.Close()
	r = w.freeze(w.request(migration.AWS))
	require.Empty(t, r.Reason)
	require.Len(t, r.Missed, 1)
	require.Equal(t, migration.OnPrem, w.home())
}

func TestACustomerWhoseHooksTakeTooLongIsNotFenced(t *testing.T) {
	w := newWorld(t)
	w.slice.Hooks = newQueue(t, answers(200, "")).at(migration.WayBackCall, migration.HookBeforeSeal)
	w.slice.Hooks[0].Takes = w.slice.Policy.FreezeBudget
	req := w.request(migration.OnPrem)
	req.First = migration.StepChecking
	r := w.freeze(req)
	require.Equal(t, migration.StepChecking, r.Step)
	blockers := migration.Blockers(r.Findings)
	require.Len(t, blockers, 2, "one of each database")
	require.Contains(t, blockers[0].Reason, "+ hooks 20s")
	require.Zero(t, r.Fenced)
}

// At several sites the hooks have an activity of their own, and the databases say what is left.
func TestHooksOfACustomerAtTwoSitesAreCalledFromTheFirst(t *testing.T) {
	w := newWorld(t)
	q := newQueue(t, answers(200, ""))
	w.slice.Hooks = q.at(migration.WayBackCall, migration.HookBeforeSeal)
	w.slice.Databases[1].Postgres.Site = "dc2"
	req := w.request(migration.OnPrem)
	for _, step := range []migration.MoveStep{migration.StepFencing, migration.StepDraining, migration.StepCalling, migration.StepSealing} {
		for _, site := range []string{"dc1", "dc2"} {
			req.Site, req.First, req.Last = site, step, step
			r := w.freeze(req)
			require.Empty(t, r.Reason, "%s at %s", step, site)
		}
	}
	require.Len(t, q.calls, 1)
	w.settle(migration.OnPrem)
}
