package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/internal/webhook"
	"github.com/drover-migration/drover/migration"
)

const whole = "whsec_bm90aGluZyBidXQgdHdlbnR5LWZvdXIgYnl0ZXM="

// kept are secrets by their references.
type kept map[migration.SecretRef]string

func (k kept) Resolve(_ context.Context, ref migration.SecretRef) (string, error) {
	if s, ok := k[ref]; ok {
		return s, nil
	}
	return "", errors.New("resolve secret " + string(ref) + ": the variable is not set")
}

// receiver answers what it is told, one after the other, the last for good.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	header  []http.Header
	body    [][]byte
	answers []answer
}

type answer struct {
	status int // 0: none ever comes
	body   string
}

func receives(t *testing.T, answers ...answer) *receiver {
	t.Helper()
	r := &receiver{answers: answers}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.header, r.body = append(r.header, req.Header), append(r.body, body)
		a := r.answers[min(len(r.body), len(r.answers))-1]
		r.mu.Unlock()
		if a.status == 0 {
			<-req.Context().Done()
			return
		}
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) keys() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.header {
		out = append(out, h.Get(webhook.HeaderKey))
	}
	return out
}

func caller() *Caller { return &Caller{Secrets: kept{"env://SECRET": whole, "env://SHORT": "hunter2"}} }

func at(url string, e migration.HookEvent) migration.Hook {
	return migration.Hook{Event: e, Timeout: migration.Duration(time.Minute),
		Webhook: &migration.WebhookChannel{URL: url + "/in?token=hunter2", Secret: "env://SECRET"}}
}

var acme = migration.HookCall{Event: migration.HookBeforeFence, Plan: "shop", Revision: 2, Batch: "canary", Customer: "acme", Token: 7,
	From: migration.OnPrem, To: migration.AWS}

func TestAWebhookHearsOfTheTryAndItsRepeatsHaveOneKey(t *testing.T) {
	r := receives(t, answer{status: 503}, answer{status: 200, body: "thanks"})
	h := at(r.URL, acme.Event)
	_, err := caller().Call(t.Context(), nil, h, acme, time.Time{})
	require.EqualError(t, err, "hook beforeFence: the receiver answered 503 Service Unavailable")
	require.Empty(t, permanent.Kind(err))
	a, err := caller().Call(t.Context(), nil, h, acme, time.Time{})
	require.NoError(t, err)
	require.Empty(t, a.Hold)
	require.Equal(t, []string{"shop/acme/7/beforeFence", "shop/acme/7/beforeFence"}, r.keys())
	theirs, err := webhooks.NewWebhook(whole)
	require.NoError(t, err)
	for i := range r.body {
		require.NoError(t, theirs.Verify(r.body[i], r.header[i]), "by the receiver's own library")
	}
	var got struct {
		Type string
		Data struct {
			Key, Event, Plan, Batch, Customer, From, To string
			Revision, Token                             int
		}
	}
	require.NoError(t, json.Unmarshal(r.body[0], &got))
	require.Equal(t, "drover.beforeFence", got.Type)
	require.Equal(t, "shop/acme/7/beforeFence", got.Data.Key)
	require.Equal(t, []string{"beforeFence", "shop", "canary", "acme", "onprem", "aws"},
		[]string{got.Data.Event, got.Data.Plan, got.Data.Batch, got.Data.Customer, got.Data.From, got.Data.To})
	require.Equal(t, []int{2, 7}, []int{got.Data.Revision, got.Data.Token})
}

func TestOnlyAHoldHolds(t *testing.T) {
	for _, tt := range []struct{ name, body, hold, wrong string }{
		{name: "nothing"},
		{name: "text", body: "ok"},
		{name: "another object", body: `{"ok": true}`},
		{name: "a list", body: `[{"hold": "no"}]`},
		{name: "no hold", body: `{"hold": null}`},
		{name: "a hold", body: `{"hold": " the queue\nhas 3 messages "}`, hold: "the queue has 3 messages"},
		{name: "a long hold", body: `{"hold": "` + strings.Repeat("я", 400) + `"}`, hold: strings.Repeat("я", 300) + "…"},
		{name: "a hold that is no text", body: `{"hold": true}`, wrong: `the answer's "hold" is no text`},
		{name: "a hold without a reason", body: `{"hold": ""}`, wrong: `the answer's "hold" is empty`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := receives(t, answer{status: 202, body: tt.body})
			a, err := caller().Call(t.Context(), nil, at(r.URL, acme.Event), acme, time.Time{})
			require.Equal(t, tt.hold, a.Hold)
			if tt.wrong != "" {
				require.ErrorContains(t, err, tt.wrong)
				return
			}
			require.NoError(t, err)
		})
	}
}

func TestAnAttemptEndsWithItsTimeout(t *testing.T) {
	r := receives(t, answer{})
	h := at(r.URL, acme.Event)
	h.Timeout = migration.Duration(50 * time.Millisecond)
	begun := time.Now()
	_, err := caller().Call(t.Context(), nil, h, acme, time.Time{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(begun), 10*time.Second)
	require.NotContains(t, err.Error(), "hunter2")
}

var frozen = migration.HookCall{Event: migration.HookBeforeSeal, Plan: "shop", Customer: "acme", Token: 7, From: migration.OnPrem,
	To: migration.AWS, Deadline: time.Date(2026, 10, 26, 21, 5, 0, 0, time.UTC)}

func prepared(t *testing.T, c *Caller, h migration.Hook) *Prepared {
	t.Helper()
	p, err := c.Prepare(t.Context(), h)
	require.NoError(t, err)
	return p
}

// A queue that is not empty yet says so by a status that is asked again.
func TestInAFreezeItIsCalledUntilItAnswers(t *testing.T) {
	r := receives(t, answer{status: 503}, answer{status: 409}, answer{status: 200})
	c := caller()
	h := at(r.URL, frozen.Event)
	h.Takes = migration.Duration(time.Millisecond)
	require.Equal(t, time.Millisecond, c.Predicted("shop", []migration.Hook{h}), "as the plan says")
	a, err := prepared(t, c, h).Call(t.Context(), frozen, false)
	require.NoError(t, err)
	require.Empty(t, a.Hold)
	require.Len(t, r.keys(), 3)
	require.Equal(t, r.keys()[0], r.keys()[2])
	require.GreaterOrEqual(t, c.Predicted("shop", []migration.Hook{h}), 3*pause, "as it was measured, both pauses included")
	require.Equal(t, time.Millisecond, c.Predicted("other", []migration.Hook{h}), "of this plan")
	h.Takes = migration.Duration(time.Hour)
	require.Equal(t, time.Hour, c.Predicted("shop", []migration.Hook{h}), "whichever is longer")
}

func TestInAFreezeItIsGivenUpWithTheDeadline(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer answer
		says   string
	}{
		{"it fails", answer{status: 503}, "that the freeze left for it: the receiver answered 503 Service Unavailable"},
		{"it hangs", answer{}, "that the freeze left for it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := receives(t, tt.answer)
			p := prepared(t, caller(), at(r.URL, frozen.Event))
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			begun := time.Now()
			_, err := p.Call(ctx, frozen, false)
			require.ErrorContains(t, err, tt.says)
			require.ErrorContains(t, err, "hook beforeSeal: no")
			require.Less(t, time.Since(begun), 10*time.Second)
		})
	}
}

func TestInAFreezeWhatNothingCuresIsNotCalledAgain(t *testing.T) {
	r := receives(t, answer{status: 401})
	_, err := prepared(t, caller(), at(r.URL, frozen.Event)).Call(t.Context(), frozen, false)
	require.Equal(t, "Refused", permanent.Kind(err))
	require.Len(t, r.keys(), 1)
	r = receives(t, answer{status: 503})
	_, err = prepared(t, caller(), at(r.URL, frozen.Event)).Call(t.Context(), frozen, true)
	require.ErrorContains(t, err, "503")
	require.Len(t, r.keys(), 1, "once is once")
}

func TestBeforeAFreezeItIsKnownThatItCannotBeCalled(t *testing.T) {
	gone := receives(t, answer{status: 200})
	gone.Close()
	there := receives(t, answer{status: 200})
	short := at(there.URL, frozen.Event)
	short.Webhook.Secret = "env://SHORT"
	missing := at(there.URL, frozen.Event)
	missing.Webhook.Secret = "env://MISSING"
	for says, h := range map[string]migration.Hook{
		"its receiver takes no connection":     at(gone.URL, frozen.Event),
		"the secret env://SHORT: is not whsec": short,
		"the variable is not set":              missing,
		"inside a freeze only a webhook":       {Event: frozen.Event, SSM: &migration.SSMDocument{Document: "drain"}},
	} {
		_, err := caller().Prepare(t.Context(), h)
		require.ErrorContains(t, err, "hook beforeSeal: ")
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "hunter2")
	}
	require.Empty(t, there.keys(), "nothing is posted")
	found, err := caller().Check(t.Context(), nil, []migration.Hook{at(there.URL, acme.Event), at(gone.URL, frozen.Event), short})
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.Equal(t, "hook beforeSeal", found[0].Subject)
	require.Contains(t, found[0].Reason, "connection refused")
	require.Empty(t, there.keys())
}

// Receivers are written by the schema: every call must be as it says, and it may say nothing that
// no call has.
func TestAWebhookGetsWhatTheSchemaSays(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../docs/hook.schema.json")
	require.NoError(t, err)
	read := func(call migration.HookCall) (out any) {
		b, err := body(call, time.Now())
		require.NoError(t, err)
		out, err = jsonschema.UnmarshalJSON(bytes.NewReader(b))
		require.NoError(t, err)
		return out
	}
	unsaid := map[string]bool{}
	for name := range schema.Properties["data"].Properties {
		unsaid[name] = true
	}
	for _, e := range migration.HookEvents {
		call := frozen
		if call.Event = e; e == migration.HookAfterLaunch {
			call = migration.HookCall{Event: e, Plan: "shop", Workload: "web", Launch: "0123456789ab"}
		}
		call.Batch = "canary"
		v := read(call)
		require.NoError(t, schema.Validate(v), e)
		for name := range v.(map[string]any)["data"].(map[string]any) {
			delete(unsaid, name)
		}
	}
	require.Empty(t, unsaid, "of the schema, and of no call")
	wrong := frozen
	wrong.Event = "never"
	require.Error(t, schema.Validate(read(wrong)))
}
