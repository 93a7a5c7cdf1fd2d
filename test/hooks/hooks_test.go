package hooks

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/process"
	"github.com/drover-migration/drover/migration"
)

// wanted is what the plan says beside the lab's.
const wanted = `
hooks:
  beforeFence: {webhook: {url: "URL", secret: env://HOOK}}
  beforeSeal: {webhook: {url: "URL", secret: env://HOOK}, takes: 50ms, wayBack: must}
  beforeOpen: {webhook: {url: "URL", secret: env://HOOK}, takes: 10ms}
  afterOpen: {webhook: {url: "URL", secret: env://HOOK}}
  afterRoute: {webhook: {url: "URL", secret: env://HOOK}}
  onRollback: {webhook: {url: "URL", secret: env://HOOK}}
  afterLaunch: {webhook: {url: "URL", secret: env://HOOK}}
`

// receiver is the system that is called. It does once what it is told under a key, and answers a
// repeat as it answered before.
type receiver struct {
	*httptest.Server
	verifies *webhooks.Webhook

	mu    sync.Mutex
	calls []heard
	wrong []string // what was not signed
	says  func(migration.HookCall, int) (status int, body string)
}

type heard struct {
	migration.HookCall
	At time.Time
}

func newReceiver(t *testing.T, secret string) *receiver {
	theirs, err := webhooks.NewWebhook(secret)
	require.NoError(t, err)
	r := &receiver{verifies: theirs, says: func(migration.HookCall, int) (int, string) { return http.StatusOK, "" }}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		var got struct{ Data migration.HookCall }
		err := errors.Join(r.verifies.Verify(body, req.Header), json.Unmarshal(body, &got))
		r.mu.Lock()
		if err != nil {
			r.wrong = append(r.wrong, err.Error())
		}
		nth := 1
		for _, c := range r.calls {
			if c.Key() == got.Data.Key() {
				nth++
			}
		}
		r.calls = append(r.calls, heard{got.Data, time.Now()})
		says := r.says
		r.mu.Unlock()
		status, answer := says(got.Data, nth)
		if status == 0 { // it hangs
			<-req.Context().Done()
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) say(says func(migration.HookCall, int) (int, string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.says = says
}

// of are the calls about a customer, in their order.
func (r *receiver) of(customer string) (out []heard) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		if c.Customer == customer {
			out = append(out, c)
		}
	}
	return out
}

func events(calls []heard) (out []string) {
	for _, c := range calls {
		out = append(out, string(c.Event)+" to "+string(c.To))
	}
	return out
}

type world struct {
	*testing.T
	ctx    context.Context
	lab    *lab.Lab
	client *client.Client
	drover string
	hooks  *receiver
}

func newWorld(ctx context.Context, t *testing.T) *world {
	tools, bin := tooltest.Dir(t, "bin/temporal", "bin/versitygw", "pg/bin/postgres"), tooltest.Binaries(t)
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of more than 24 bytes"))
	t.Setenv("HOOK", secret)
	w := &world{T: t, ctx: ctx, drover: filepath.Join(bin, "drover"), hooks: newReceiver(t, secret)}
	shape := lab.SmallShape(3)
	shape.Soak, shape.StopsAt, shape.Batches[0].Concurrency = "1h", 100, 1
	var err error
	w.lab, err = lab.Start(ctx, lab.Options{Shape: shape, Tools: tools, Dir: filepath.Join(t.TempDir(), "lab"),
		Self: filepath.Join(bin, "lab")})
	require.NoError(t, err)
	t.Cleanup(w.lab.Close)
	w.client, err = w.lab.Client(ctx)
	require.NoError(t, err)
	require.NoError(t, w.client.EnsureSearchAttributes(ctx, "default"))
	f, err := os.OpenFile(w.lab.Plan, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(strings.ReplaceAll(wanted, "URL", w.hooks.URL))
	require.NoError(t, errors.Join(err, f.Close()))
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.lab.WorkerLog(40))
		}
	})
	return w
}

func (w *world) worker(name string) *process.Process {
	w.Helper()
	p, err := w.lab.StartWorker(name, w.drover, "", "--site", "dc1")
	require.NoError(w, err)
	return p
}

func (w *world) run(args ...string) {
	w.Helper()
	cmd := exec.CommandContext(w.ctx, w.drover, args...)
	cmd.Env = w.lab.Environ()
	out, err := cmd.CombinedOutput()
	require.NoError(w, err, "drover %v: %s", args, out)
}

func (w *world) until(customer, what string, is func(migration.CustomerStatus) bool) (s migration.CustomerStatus) {
	w.Helper()
	require.Eventually(w, func() bool {
		var err error
		s, err = w.client.Customer(w.ctx, w.lab.Shape.Name, customer)
		return err == nil && is(s)
	}, 3*time.Minute, 100*time.Millisecond, "customer %s: %s", customer, what)
	return s
}

func soaks(s migration.CustomerStatus) bool {
	return s.Phase == migration.CustomerSoaking && s.Home == migration.AWS
}

// TestHooksHearOfEveryStepAndTheirAnswerCounts has three customers move one after the other, under
// load: with a queue that is not empty at first, with one that never answers, and with a worker
// that dies while it is called inside the freeze.
func TestHooksHearOfEveryStepAndTheirAnswerCounts(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
	defer cancel()
	w := newWorld(ctx, t)
	worker := w.worker("worker-1")
	load, err := w.lab.StartLoad(ctx, 30)
	require.NoError(t, err)
	var ids []string
	for _, c := range w.lab.Shape.Customers() {
		ids = append(ids, c.ID)
	}
	first, second, third := ids[0], ids[1], ids[2]

	killed := make(chan struct{})
	var once sync.Once
	w.hooks.say(func(c migration.HookCall, nth int) (int, string) {
		switch {
		case c.Customer == first && (c.Event == migration.HookBeforeSeal || c.Event == migration.HookAfterOpen) && nth == 1:
			return http.StatusServiceUnavailable, "3 messages"
		case c.Customer == second && c.Event == migration.HookBeforeSeal:
			return 0, ""
		case c.Customer == third && c.Event == migration.HookBeforeSeal && c.To == migration.AWS:
			die := false
			once.Do(func() { die = true })
			if die {
				worker.Kill()
				close(killed)
				return 0, ""
			}
		}
		return http.StatusOK, "done"
	})
	replaced := make(chan error, 1)
	go func() { // who asks for a status needs a worker
		<-killed
		_, err := w.lab.StartWorker("worker-2", w.drover, "", "--site", "dc1")
		replaced <- err
	}()
	w.run("submit", w.lab.Plan, "--by", "lead")

	t.Run("a queue that is not empty is asked again inside the freeze", func(t *testing.T) {
		s := w.until(first, "soaks", soaks)
		require.Eventually(t, func() bool { return len(w.hooks.of(first)) == 7 }, time.Minute, 50*time.Millisecond)
		calls := w.hooks.of(first)
		require.Equal(t, []string{"beforeFence to aws", "beforeSeal to aws", "beforeSeal to aws", "beforeOpen to aws",
			"afterOpen to aws", "afterRoute to aws", "afterOpen to aws"}, events(calls))
		require.Equal(t, calls[1].Key(), calls[2].Key())
		require.Equal(t, calls[4].Key(), calls[6].Key())
		require.Len(t, s.Moves, 1)
		m := s.Moves[0]
		require.Positive(t, m.Took.Hooks)
		require.GreaterOrEqual(t, m.Predicted.D(), 60*time.Millisecond, "as the plan says of both")
		require.GreaterOrEqual(t, m.Freeze, m.Took.Hooks)
	})
	t.Run("a hook that hangs inside the freeze ends the try, and home is open again", func(t *testing.T) {
		s := w.until(second, "is held", func(s migration.CustomerStatus) bool { return s.Phase == migration.CustomerHeld })
		require.Equal(t, migration.OnPrem, s.Home)
		require.Contains(t, s.Reason, "hook beforeSeal: no answer within the ")
		tokens := map[int64]bool{}
		for _, c := range w.hooks.of(second) {
			require.NotContains(t, []migration.HookEvent{migration.HookBeforeOpen, migration.HookAfterOpen}, c.Event)
			tokens[c.Token] = true
		}
		require.Len(t, tokens, s.Tries, "each try has a key of its own")
	})
	t.Run("a worker that dies while it calls leaves the customer to its home", func(t *testing.T) {
		select {
		case err := <-replaced:
			require.NoError(t, err)
		case <-time.After(3 * time.Minute):
			require.Fail(t, "the hook was never called")
		}
		s := w.until(third, "soaks", soaks)
		require.Greater(t, s.Tries, 1, "the first was settled by writing")
	})
	t.Run("a hold is ended by a person", func(t *testing.T) {
		w.hooks.say(func(c migration.HookCall, _ int) (int, string) {
			if c.Customer == second && c.Event == migration.HookBeforeFence {
				return http.StatusOK, `{"hold": "the books are open"}`
			}
			return http.StatusOK, ""
		})
		w.run("retry", w.lab.Shape.Name, "--customer", second, "--by", "ann", "--reason", "the queue is back")
		w.until(second, "is held by its hook", func(s migration.CustomerStatus) bool {
			return s.Phase == migration.CustomerHeld && strings.Contains(s.Reason, "hook beforeFence holds it: the books are open")
		})
		w.hooks.say(func(migration.HookCall, int) (int, string) { return http.StatusOK, "" })
		w.run("retry", w.lab.Shape.Name, "--customer", second, "--by", "ann", "--reason", "the books are closed")
		w.until(second, "soaks", soaks)
	})
	t.Run("a hook hears that a customer is home again", func(t *testing.T) {
		before := len(w.hooks.of(first))
		w.run("rollback", w.lab.Shape.Name, "--customer", first, "--by", "ann", "--reason", "month end")
		w.until(first, "is home", func(s migration.CustomerStatus) bool { return s.Phase == migration.CustomerRolledBack })
		require.Eventually(t, func() bool { return len(w.hooks.of(first)) == before+6 }, time.Minute, 50*time.Millisecond)
		require.Equal(t, []string{"beforeFence to onprem", "beforeSeal to onprem", "beforeOpen to onprem", "afterOpen to onprem",
			"afterRoute to onprem", "onRollback to onprem"}, events(w.hooks.of(first)[before:]))
	})

	sum := load.Stop()
	truth, err := w.lab.Verify(ctx)
	require.NoError(t, err)
	require.Positive(t, sum.AckedWrites)
	require.Empty(t, truth.Violations, "nothing is lost, doubled or misplaced")
	w.hooks.mu.Lock()
	defer w.hooks.mu.Unlock()
	require.Empty(t, w.hooks.wrong, "each call is signed")
	var launched []string
	for _, c := range w.hooks.calls {
		if c.Event == migration.HookAfterLaunch {
			launched = append(launched, c.Workload)
		}
	}
	require.NotEmpty(t, launched)
}
