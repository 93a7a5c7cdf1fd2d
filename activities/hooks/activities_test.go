package hooks_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/activities/hooks"
	engine "github.com/drover-migration/drover/hooks"
	"github.com/drover-migration/drover/internal/webhook"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/notify/notifytest"
)

type library struct{ spec *migration.Spec }

func (l library) Spec(context.Context, migration.SpecRef) (*migration.Spec, error) {
	return l.spec, nil
}

// secrets are those of the main worker.
type secrets struct{}

func (secrets) Resolve(_ context.Context, ref migration.SecretRef) (string, error) {
	if ref == "env://SITE" {
		return "", errors.New("resolve secret env://SITE: the variable is not set")
	}
	return "whsec_bm90aGluZyBidXQgdHdlbnR5LWZvdXIgYnl0ZXM=", nil
}

func at(url string, e migration.HookEvent, secret migration.SecretRef) migration.Hook {
	return migration.Hook{Event: e, Timeout: migration.Duration(time.Minute), Webhook: &migration.WebhookChannel{URL: url, Secret: secret}}
}

type world struct {
	*testing.T
	spec *migration.Spec
	env  *testsuite.TestActivityEnvironment
	do   *hooks.Activities
}

func newWorld(t *testing.T, of ...migration.Hook) *world {
	w := &world{T: t, spec: &migration.Spec{Plan: "shop", Hooks: of}}
	var suite testsuite.WorkflowTestSuite
	w.env = suite.NewTestActivityEnvironment()
	w.do = hooks.New(library{w.spec}, &engine.Caller{Secrets: secrets{}})
	w.env.RegisterActivity(w.do)
	return w
}

// An attempt that was cut off after its effect is repeated: whoever is called knows it by its key.
func TestAHookThatIsCalledTwiceIsOneCall(t *testing.T) {
	r := notifytest.NewReceiver(t, http.StatusOK)
	w := newWorld(t, at(r.URL, migration.HookAfterOpen, "env://SECRET"))
	call := migration.HookCall{Event: migration.HookAfterOpen, Plan: "shop", Customer: "acme", Token: 7}
	for range 2 {
		v, err := w.env.ExecuteActivity(w.do.CallHook, hooks.CallHookRequest{Call: call, Since: time.Now()})
		require.NoError(t, err)
		var got hooks.CallHookResult
		require.NoError(t, v.Get(&got))
		require.Empty(t, got.Hold)
	}
	_, headers := r.Posts()
	require.Len(t, headers, 2)
	for _, h := range headers {
		require.Equal(t, "shop/acme/7/afterOpen", h.Get(webhook.HeaderKey))
	}
	call.Event = migration.HookAfterRoute
	_, err := w.env.ExecuteActivity(w.do.CallHook, hooks.CallHookRequest{Call: call})
	require.NoError(t, err, "an amendment has taken it out of the plan")
	_, headers = r.Posts()
	require.Len(t, headers, 2)
}

// What sites call they check; a customer without a database has no site.
func TestTheMainWorkerChecksTheHooksThatItCalls(t *testing.T) {
	r := notifytest.NewReceiver(t, http.StatusOK)
	w := newWorld(t, at(r.URL, migration.HookBeforeFence, "env://SECRET"), at(r.URL, migration.HookBeforeSeal, "env://SITE"),
		at(r.URL, migration.HookBeforeOpen, "env://SITE"))
	w.spec.Datasets = []migration.Dataset{{Name: "orders", Postgres: &migration.Postgres{}}}
	w.spec.Customers = []migration.Customer{{ID: "acme", Datasets: []string{"orders"}}}
	check := func() (out []string) {
		v, err := w.env.ExecuteActivity(w.do.CheckHooks, migration.SpecRef{Plan: "shop"})
		require.NoError(t, err)
		var found []migration.Finding
		require.NoError(t, v.Get(&found))
		for _, f := range found {
			out = append(out, f.Subject)
		}
		return out
	}
	require.Empty(t, check())
	w.spec.Customers = append(w.spec.Customers, migration.Customer{ID: "globex"})
	require.Equal(t, []string{"hook beforeOpen"}, check())
	bodies, _ := r.Posts()
	require.Empty(t, bodies, "nothing is posted")
}
