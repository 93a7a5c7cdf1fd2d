package hook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
	"github.com/drover-migration/drover/routes/hook"
	"github.com/drover-migration/drover/routes/routetest"
)

func router() *hook.Router {
	return hook.New(routetest.HookSecrets(routetest.HookSecret), hook.Options{})
}

func to(customer string, side migration.Side, token int64) []routes.Wanted {
	return []routes.Wanted{{Customer: customer, Side: side, Token: token}}
}

// everyone is at home.
func everyone(w *routetest.Hook) (out []routes.Wanted) {
	for _, c := range w.Spec().Customers {
		out = append(out, routes.Wanted{Customer: c.ID, Side: migration.OnPrem, Token: 9})
	}
	return out
}

const acme = "c03.app.example.com"

func noted(plan, customer string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"plan":%q,"customer":%q,"token":2,"share":100,"was":{"dc1":1},"at":"2026-10-26T21:05:00Z"}`,
		plan, customer))
}

func TestWhatSomebodyElseHasChangedIsToldAndLeft(t *testing.T) {
	for _, tt := range []struct {
		name    string
		weights map[string]int
		note    json.RawMessage
		says    string
	}{
		{"before Drover came", map[string]int{"legacy": 1}, nil,
			"the router sends c03.app.example.com to legacy (weight 1), and the plan says that dc1 serves it on premises"},
		{"a share", map[string]int{"dc1": 3, "legacy": 1}, nil, "to dc1 (weight 3) and legacy (weight 1)"},
		{"nowhere", map[string]int{"dc1": 0}, nil, "the router sends c03.app.example.com to nowhere"},
		{"after a change of Drover's", map[string]int{"legacy": 1}, noted("suite", "c03"),
			"somebody else has changed c03.app.example.com: the router sends it to legacy (weight 1), where Drover wrote aws (weight " +
				"100); put that back, or have it sent to dc1 (weight 1) alone and no note kept"},
		{"another plan", map[string]int{"aws": 1}, noted("other", "c03"), `plan "other" of Drover's routes c03.app.example.com`},
		{"another customer", map[string]int{"aws": 1}, noted("suite", "c99"), `c03.app.example.com was customer "c99"'s`},
		{"a note of somebody's", map[string]int{"dc1": 1}, json.RawMessage(`"keep off"`), "a note for c03.app.example.com that is none of"},
		{"a note that was cut", map[string]int{"dc1": 1}, json.RawMessage(`{"plan":"suite"}`), "none of Drover's"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := routetest.NewHook(t)
			w.Change(acme, tt.weights, tt.note)
			rt := router()
			for _, ask := range []func(context.Context, *migration.Spec, []routes.Wanted) (map[string]routes.State, error){rt.Reconcile,
				rt.Verify} {
				got, err := ask(t.Context(), w.Spec(), to("c03", migration.OnPrem, 9))
				require.NoError(t, err)
				require.Contains(t, got["c03"].Wrong, tt.says)
			}
			require.Zero(t, w.Asked(http.MethodPut))
			require.Equal(t, tt.weights, w.Host(acme).Weights)
			found, err := rt.Check(t.Context(), w.Spec())
			require.NoError(t, err)
			require.Len(t, found, 1)
			require.Contains(t, found[0].Reason, `customer "c03": `)
			require.Contains(t, found[0].Reason, tt.says)
		})
	}
}

// Somebody changes the host after Drover has looked and before it writes.
func TestAChangeOfSomebodyElsesInBetweenIsNotWrittenOver(t *testing.T) {
	w := routetest.NewHook(t)
	rt := w.NewRouter()
	reached, release := w.HoldLook(rt)
	done := make(chan map[string]routes.State, 1)
	go func() {
		got, _ := rt.Reconcile(t.Context(), w.Spec(), to("c03", migration.AWS, 2))
		done <- got
	}()
	<-reached
	w.Change(acme, map[string]int{"legacy": 1}, nil)
	release()
	require.Contains(t, (<-done)["c03"].Wrong, "to legacy (weight 1)")
	require.Equal(t, map[string]int{"legacy": 1}, w.Host(acme).Weights)
	require.Equal(t, 1, w.Asked(http.MethodPut), "it was refused, and that was all")
}

func TestAHostThatTheRouterDoesNotKnowIsSaid(t *testing.T) {
	w := routetest.NewHook(t)
	w.Change(acme, nil, nil)
	got, err := router().Reconcile(t.Context(), w.Spec(), append(to("c03", migration.AWS, 2), to("c04", migration.AWS, 2)...))
	require.NoError(t, err)
	require.Contains(t, got["c03"].Wrong, "the router does not know c03.app.example.com; add it there")
	require.Empty(t, got["c04"].Wrong, "the others are routed")
	require.Equal(t, 100, w.Share(t, "c04.app.example.com", "/"))
}

// losing loses the answer to changes, after they were carried out.
type losing struct{ lost bool }

var errAway = errors.New("the connection was reset")

func (l *losing) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(req)
	if err == nil && req.Method == http.MethodPut && !l.lost {
		l.lost = true
		_ = res.Body.Close()
		return nil, errAway
	}
	return res, err
}

func TestAChangeWhoseAnswerIsLostIsFoundByTheNextCall(t *testing.T) {
	w := routetest.NewHook(t)
	rt := hook.New(routetest.HookSecrets(routetest.HookSecret), hook.Options{Transport: &losing{}})
	_, err := rt.Reconcile(t.Context(), w.Spec(), to("c03", migration.AWS, 2))
	require.ErrorIs(t, err, errAway)
	require.Empty(t, permanent.Kind(err))
	got, err := rt.Reconcile(t.Context(), w.Spec(), to("c03", migration.AWS, 2))
	require.NoError(t, err)
	require.Empty(t, got["c03"].Wrong)
	require.Equal(t, 1, w.Asked(http.MethodPut), "it stands")
}

// A router that says yes and does nothing is no router.
func TestARouterThatDoesNotDoWhatItAcknowledgesIsSaid(t *testing.T) {
	w := routetest.NewHook(t)
	w.Spoil(func(rw http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodPut {
			rw.WriteHeader(http.StatusNoContent)
		}
		return req.Method == http.MethodPut
	})
	_, err := router().Reconcile(t.Context(), w.Spec(), to("c03", migration.AWS, 2))
	require.ErrorContains(t, err, "the router acknowledged 12 changes, and what it says stands is not what it was told")
	require.Equal(t, "IgnoresConditions", permanent.Kind(router().Record(t.Context(), w.Spec())))
}

func TestARouterThatRefusesABackendIsSaid(t *testing.T) {
	w := routetest.NewHook(t)
	w.Spoil(func(rw http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodPut {
			rw.WriteHeader(http.StatusUnprocessableEntity)
		}
		return req.Method == http.MethodPut
	})
	got, err := router().Reconcile(t.Context(), w.Spec(), to("c03", migration.AWS, 2))
	require.NoError(t, err)
	require.Contains(t, got["c03"].Wrong, "the router did not take aws (weight 100) for c03.app.example.com")
}

// No worker believes whatever a router answers, waits for ever, or repeats it to people.
func TestAnAnswerThatIsNotOfTheProtocolIsAnError(t *testing.T) {
	good := `{"weights": {"dc1": 1}}`
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf(`"b%d": 1`, i)
	}
	for _, tt := range []struct {
		name, etag, body string
		status           int
		says             string
	}{
		{name: "no ETag", body: good, says: "the answer has no strong ETag"},
		{name: "a weak ETag", etag: `W/"1"`, body: good, says: "the answer has no strong ETag"},
		{name: "an ETag that is long", etag: `"` + strings.Repeat("1", 300) + `"`, body: good, says: "the answer has no strong ETag"},
		{name: "no JSON", etag: `"1"`, body: "<html>hunter2</html>", says: "the answer is not JSON of the right form"},
		{name: "a broken weight", etag: `"1"`, body: `{"weights": {"dc1": 0.5}}`, says: "the answer is not JSON of the right form"},
		{name: "no weights", etag: `"1"`, body: `{}`, says: "the answer's weights name 0 backends"},
		{name: "many weights", etag: `"1"`, body: `{"weights": {` + strings.Join(many, ",") + `}}`, says: "name 65 backends"},
		{name: "a weight below nothing", etag: `"1"`, body: `{"weights": {"dc1": -1}}`, says: "the answer's weight of dc1 is not 0 to"},
		{name: "a weight of everything", etag: `"1"`, body: `{"weights": {"dc1": 9000000000}}`, says: "weight of dc1 is not 0 to"},
		{name: "a name of several lines", etag: `"1"`, body: `{"weights": {"dc1\nhunter2": 1}}`, says: "a name that is none of a backend"},
		{name: "a long answer", etag: `"1"`, body: strings.Repeat("hunter2 ", 10000), says: "the answer is longer than 64 KiB"},
		{name: "it is away", status: 503, body: "hunter2", says: "it answered 503 Service Unavailable"},
		{name: "it leads elsewhere", status: 307, says: "it answered 307 Temporary Redirect"},
		{name: "it does not know us", status: 401, says: "does not take the route's signature: it answered 401"},
		{name: "it hangs", status: -1, says: "no answer within 100ms"},
		{name: "it hangs half way", status: -2, says: "no answer within 100ms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := routetest.NewHook(t)
			h := w.Spec().Routes[0].Hook
			h.URL += "/hunter2"
			h.Timeout = migration.Duration(100 * time.Millisecond)
			w.Spoil(func(rw http.ResponseWriter, req *http.Request) bool {
				rw.Header().Set("ETag", tt.etag)
				rw.Header().Set("Location", w.URL)
				switch {
				case tt.status == -2:
					_, _ = io.WriteString(rw, `{"weights": `)
					_ = http.NewResponseController(rw).Flush()
					fallthrough
				case tt.status == -1:
					<-req.Context().Done()
				case tt.status > 0:
					rw.WriteHeader(tt.status)
				}
				_, _ = io.WriteString(rw, tt.body)
				return true
			})
			begun := time.Now()
			got, err := router().Reconcile(t.Context(), w.Spec(), append(to("c03", migration.AWS, 2), to("c04", migration.AWS, 2)...))
			require.ErrorContains(t, err, tt.says)
			require.ErrorContains(t, err, `route "edge": GET hosts/c0`)
			require.NotContains(t, err.Error(), "hunter2")
			require.NotContains(t, err.Error(), routetest.HookSecret)
			require.Empty(t, permanent.Kind(err), "it is tried again")
			require.Empty(t, got)
			require.Less(t, time.Since(begun), 10*time.Second)
			found, err := router().Check(t.Context(), w.Spec())
			require.NoError(t, err)
			require.NotEmpty(t, found)
			require.NotContains(t, fmt.Sprint(found), "hunter2")
		})
	}
}

func TestOneHostWithoutAnAnswerKeepsNoOtherFromItsSide(t *testing.T) {
	w := routetest.NewHook(t)
	w.Spoil(func(rw http.ResponseWriter, req *http.Request) bool {
		away := strings.HasSuffix(req.URL.Path, acme)
		if away {
			rw.WriteHeader(http.StatusBadGateway)
		}
		return away
	})
	got, err := router().Reconcile(t.Context(), w.Spec(), append(to("c03", migration.AWS, 2), to("c04", migration.AWS, 2)...))
	require.ErrorContains(t, err, "it answered 502 Bad Gateway")
	require.NotContains(t, got, "c03")
	require.Equal(t, migration.AWS, got["c04"].Home)
	require.Equal(t, 100, w.Share(t, "c04.app.example.com", "/"))
}

func TestTheRouterOfAnAuthorityOfOnesOwnIsTrustedByItsCAFile(t *testing.T) {
	w := routetest.NewHook(t)
	secure := httptest.NewUnstartedServer(w.HookReceiver)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	h := w.Spec().Routes[0].Hook
	h.URL, h.CAFile = secure.URL, filepath.Join(t.TempDir(), "ca.pem")
	rt := router()
	ask := func() error {
		_, err := rt.Verify(t.Context(), w.Spec(), to("c03", migration.OnPrem, 1))
		return err
	}
	require.ErrorContains(t, ask(), "read the caFile on this worker")
	require.NoError(t, os.WriteFile(h.CAFile, []byte("nothing"), 0o600))
	require.Equal(t, "BadCA", permanent.Kind(ask()))
	mine := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	require.NoError(t, os.WriteFile(h.CAFile, mine, 0o600))
	require.NoError(t, ask(), "the file is read anew")
	h.CAFile = ""
	require.ErrorContains(t, ask(), "certificate")
	found, err := rt.Check(t.Context(), w.Spec())
	require.NoError(t, err)
	require.Equal(t, "route-reach", found[0].Check)
}

func TestBeforehandItIsSaidWhatWouldStop(t *testing.T) {
	for _, tt := range []struct {
		name   string
		world  func(*routetest.Hook, *migration.HookRoute)
		secret string
		checks []string
		says   string
	}{
		{name: "nothing", world: func(*routetest.Hook, *migration.HookRoute) {}},
		{name: "a secret that signs nothing", secret: "hunter2", checks: []string{"route-secret"}, says: "env://HOOK: is not whsec_"},
		{name: "a secret that the router does not know", secret: "whsec_bm90aGluZyBidXQgdHdlbnR5LWZvdXIgYnl0ZXM=",
			checks: []string{"route-signature"}, says: "does not take the route's signature: it answered 401"},
		{name: "a router that is not there", world: func(_ *routetest.Hook, h *migration.HookRoute) { h.URL = "http://127.0.0.1:1" },
			checks: []string{"route-reach"}, says: "connection refused"},
		{name: "an address of something else", world: func(w *routetest.Hook, _ *migration.HookRoute) {
			w.Spoil(func(rw http.ResponseWriter, _ *http.Request) bool { _, _ = io.WriteString(rw, "welcome"); return true })
		}, checks: []string{"route-protocol"}, says: "drover-route-1"},
		{name: "a router that verifies nothing", world: func(w *routetest.Hook, _ *migration.HookRoute) {
			w.Spoil(func(rw http.ResponseWriter, req *http.Request) bool {
				named := req.URL.Path == "/backends"
				if named {
					_, _ = io.WriteString(rw, `{"protocol": "drover-route-1", "backends": ["dc1", "aws"]}`)
				}
				return named
			})
		}, checks: []string{"route-signature"}, says: "the router answers whoever asks"},
		{name: "a backend that it has not", world: func(_ *routetest.Hook, h *migration.HookRoute) { h.AWS = "cloud" },
			checks: []string{"route-backend"}, says: "the router has no backend cloud; it has dc1, aws, legacy"},
		{name: "a host that it does not know", world: func(w *routetest.Hook, _ *migration.HookRoute) { w.Change(acme, nil, nil) },
			checks: []string{"route-host"}, says: `customer "c03": the router does not know c03.app.example.com`},
		{name: "another plan's host", world: func(w *routetest.Hook, _ *migration.HookRoute) {
			w.Change(acme, map[string]int{"aws": 1}, noted("other", "c03"))
		}, checks: []string{"route-host-claimed"}, says: `plan "other" of Drover's`},
		{name: "a front where nobody listens", world: func(_ *routetest.Hook, h *migration.HookRoute) { h.Front = "http://127.0.0.1:1" },
			checks: []string{"route-front"}, says: "connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := routetest.NewHook(t)
			if tt.world != nil {
				tt.world(w, w.Spec().Routes[0].Hook)
			}
			secret := tt.secret
			if secret == "" {
				secret = routetest.HookSecret
			}
			rt := hook.New(routetest.HookSecrets(secret), hook.Options{})
			before := w.Standing(t)
			found, err := rt.Check(t.Context(), w.Spec())
			require.NoError(t, err)
			var checks []string
			for _, f := range found {
				require.Equal(t, migration.Blocker, f.Severity)
				require.Equal(t, "route edge", f.Subject)
				require.NotEmpty(t, f.Remedy)
				require.NotContains(t, f.Reason+f.Remedy, secret)
				checks = append(checks, f.Check)
			}
			require.Equal(t, tt.checks, checks)
			if tt.says != "" {
				require.Contains(t, found[0].Reason, tt.says)
			}
			require.Zero(t, w.Asked(http.MethodPut), "it changes nothing")
			require.Equal(t, before, w.Standing(t))
		})
	}
}

func TestWhatStoodBeforeIsPutBackAndWhatOthersChangedIsTold(t *testing.T) {
	w := routetest.NewHook(t)
	w.Change("c04.app.example.com", map[string]int{"dc1": 42}, nil)
	rt := router()
	for _, id := range []string{"c03", "c04", "c05"} {
		_, err := rt.Reconcile(t.Context(), w.Spec(), to(id, migration.AWS, 2))
		require.NoError(t, err)
	}
	things, err := rt.Survey(t.Context(), w.Spec())
	require.NoError(t, err)
	require.Equal(t, []migration.Thing{
		{Kind: "weights", ID: acme, Of: "customer c03", Where: "route edge"},
		{Kind: "weights", ID: "c04.app.example.com", Of: "customer c04", Where: "route edge"},
		{Kind: "weights", ID: "c05.app.example.com", Of: "customer c05", Where: "route edge"}}, things)
	_, err = rt.Restore(t.Context(), w.Spec(), append(everyone(w)[1:], routes.Wanted{Customer: "c00", Side: migration.AWS}))
	require.Equal(t, "NotHome", permanent.Kind(err))
	for _, id := range []string{"c03", "c04", "c05"} {
		_, err := rt.Reconcile(t.Context(), w.Spec(), to(id, migration.OnPrem, 3))
		require.NoError(t, err)
	}
	w.Change("c05.app.example.com", map[string]int{"legacy": 1}, w.Host("c05.app.example.com").Note)
	got, err := rt.Restore(t.Context(), w.Spec(), everyone(w))
	require.NoError(t, err)
	require.Equal(t, routes.Restored{Deleted: 3, Differences: []string{
		"c05.app.example.com was changed by somebody else: the router sends it to legacy (weight 1), where dc1 (weight 1) stood"}}, got)
	require.Equal(t, map[string]int{"dc1": 42}, w.Host("c04.app.example.com").Weights, "as it was written, to the number")
	require.Equal(t, map[string]int{"legacy": 1}, w.Host("c05.app.example.com").Weights)
	require.Zero(t, w.Drovers(t))
	changes := w.Asked(http.MethodPut)
	again, err := router().Restore(t.Context(), w.Spec(), everyone(w))
	require.NoError(t, err)
	require.Zero(t, again)
	require.Equal(t, changes, w.Asked(http.MethodPut), "run twice it changes nothing more")
}

// What is replayed with another method, for another host or under another condition is refused by a
// router that compares: the signature covers them.
func TestTheSignatureCoversMethodHostAndCondition(t *testing.T) {
	w := routetest.NewHook(t)
	var seen []*http.Request
	var body []byte
	w.Spoil(func(_ http.ResponseWriter, req *http.Request) bool {
		seen = append(seen, req.Clone(context.Background()))
		if req.Method == http.MethodPut {
			body, _ = io.ReadAll(req.Body)
		}
		return false
	})
	_, err := router().Reconcile(t.Context(), w.Spec(), to("c03", migration.AWS, 2))
	require.NoError(t, err)
	require.Equal(t, "GET hosts/"+acme, seen[0].Header.Get("webhook-id"))
	require.Equal(t, "PUT hosts/"+acme+" "+seen[1].Header.Get("If-Match"), seen[1].Header.Get("webhook-id"))
	w.Spoil(nil)
	for name, change := range map[string]func(*http.Request){
		"host":      func(r *http.Request) { r.URL.Path = "/hosts/c04.app.example.com" },
		"condition": func(r *http.Request) { r.Header.Set("If-Match", `"2"`) },
		"method":    func(r *http.Request) { r.Method = http.MethodDelete },
		"body":      func(r *http.Request) { r.Body = io.NopCloser(bytes.NewReader(append([]byte(" "), body[1:]...))) },
	} {
		r := seen[1].Clone(t.Context())
		r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", strings.TrimPrefix(w.URL, "http://")
		r.Body = io.NopCloser(bytes.NewReader(body))
		change(r)
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusUnauthorized, res.StatusCode, name)
	}
	require.Equal(t, 4, w.Asked("STRANGER"))
}
