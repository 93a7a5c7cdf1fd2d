package routetest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
	"github.com/drover-migration/drover/routes/hook"
)

// HookSecret signs what a HookReceiver is asked.
var HookSecret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of more than 24 bytes"))

// Names of a HookReceiver's backends.
const (
	HookOnPrem = "dc1"
	HookOnAWS  = "aws"
)

// HookReceiver is a router that answers the protocol of docs/route-hook.md to the letter, and takes
// nothing that is not by it. It notes what no Drover should have asked.
type HookReceiver struct {
	*httptest.Server

	verifies *webhooks.Webhook

	mu    sync.Mutex
	hosts map[string]*HookHost
	count int // changes
	asked map[string]int
	wrong []string
	spoil func(http.ResponseWriter, *http.Request) bool
}

// HookHost is what a router has for a host.
type HookHost struct {
	Weights map[string]int  `json:"weights"`
	Note    json.RawMessage `json:"note,omitempty"`

	change int
	before map[string]int // weights, when the note came
	token  int64          // of the note; it never falls while there is one
}

// NewHookReceiver is a router with hosts, all of them sent to HookOnPrem.
func NewHookReceiver(t *testing.T, secret string, hosts ...string) *HookReceiver {
	t.Helper()
	verifies, err := webhooks.NewWebhook(secret)
	require.NoError(t, err)
	r := &HookReceiver{verifies: verifies, hosts: map[string]*HookHost{}, asked: map[string]int{}}
	for _, h := range hosts {
		r.hosts[h] = &HookHost{Weights: map[string]int{HookOnPrem: 1}}
	}
	r.Server = httptest.NewServer(r)
	t.Cleanup(func() {
		r.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, w := range r.wrong {
			t.Error("the router was asked what it should not be: " + w)
		}
	})
	return r
}

// Spoil has a function see each request first; true: it has answered.
func (r *HookReceiver) Spoil(f func(http.ResponseWriter, *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spoil = f
}

// Asked counts requests by method; those that were refused for their signature count as STRANGER.
func (r *HookReceiver) Asked(method string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[method]
}

// Change is somebody else's change of a host; nil weights: the host is taken away.
func (r *HookReceiver) Change(host string, weights map[string]int, note json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if weights == nil {
		delete(r.hosts, host)
		return
	}
	r.count++
	r.hosts[host] = &HookHost{Weights: weights, Note: note, change: r.count}
}

// Host is what stands for a host.
func (r *HookReceiver) Host(host string) HookHost {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h, ok := r.hosts[host]; ok {
		return *h
	}
	return HookHost{}
}

// ServeHTTP answers one request.
func (r *HookReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	spoil := r.spoil
	r.mu.Unlock()
	if spoil != nil && spoil(w, req) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	what := strings.TrimPrefix(req.URL.Path, "/")
	signed := strings.TrimSpace(req.Method + " " + what + " " + req.Header.Get("If-Match"))
	if r.verifies.Verify(body, req.Header) != nil || req.Header.Get("webhook-id") != signed {
		r.asked["STRANGER"]++
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	r.asked[req.Method]++
	name, ok := strings.CutPrefix(what, "hosts/")
	switch h := r.hosts[name]; {
	case req.Method == http.MethodGet && what == "backends":
		_ = json.NewEncoder(w).Encode(map[string]any{"protocol": "drover-route-1", "backends": []string{HookOnPrem, HookOnAWS, "legacy"}})
	case !ok || h == nil:
		w.WriteHeader(http.StatusNotFound)
	case req.Method == http.MethodGet:
		w.Header().Set("ETag", h.etag())
		_ = json.NewEncoder(w).Encode(h)
	case req.Method == http.MethodPut:
		w.WriteHeader(r.put(name, h, req, body))
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (h *HookHost) etag() string { return fmt.Sprintf(`"%d"`, h.change) }

// put changes a host, if what is asked may be asked.
func (r *HookReceiver) put(name string, h *HookHost, req *http.Request, body []byte) int {
	var to HookHost
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&to); err != nil || req.Header.Get("Content-Type") != "application/json" {
		r.wrong = append(r.wrong, fmt.Sprintf("a body that is none: %s", body))
		return http.StatusBadRequest
	}
	all := 0
	for backend, weight := range to.Weights {
		if weight < 0 || !slices.Contains([]string{HookOnPrem, HookOnAWS, "legacy"}, backend) {
			r.wrong = append(r.wrong, fmt.Sprintf("weights for %s: %v", name, to.Weights))
			return http.StatusUnprocessableEntity
		}
		all += weight
	}
	switch condition := req.Header.Get("If-Match"); {
	case condition == "":
		r.wrong = append(r.wrong, "a change without a condition")
		return http.StatusPreconditionRequired
	case condition != h.etag():
		return http.StatusPreconditionFailed
	case all == 0:
		r.wrong = append(r.wrong, name+" is to be sent nowhere")
		return http.StatusUnprocessableEntity
	}
	var n struct {
		Token int64
		Was   map[string]int
	}
	_ = json.Unmarshal(to.Note, &n) // null is none
	if n.Was != nil && n.Token < h.token {
		r.wrong = append(r.wrong, fmt.Sprintf("%s is to follow token %d after token %d", name, n.Token, h.token))
	}
	before := h.before
	if before == nil {
		before = h.Weights
	}
	if string(to.Note) == "null" {
		to.Note, before = nil, nil
	}
	r.count++
	to.change, to.before, to.token = r.count, before, n.Token
	r.hosts[name] = &to
	return http.StatusNoContent
}

// Hook is a World on a router of the user's own.
type Hook struct {
	*HookReceiver

	spec  *migration.Spec
	looks looks
}

// NewHook builds the world: 13 customers that the router sends to premises, and a host of others.
func NewHook(t *testing.T) *Hook {
	w := &Hook{spec: &migration.Spec{
		Plan: "suite", Targets: []migration.Target{{Name: "prod"}},
		Workloads: []migration.Workload{
			{Name: "api", Target: "prod", Ingress: &migration.Ingress{Port: 8080, Protocol: "http", Paths: []string{"/api/*"}}},
			{Name: "web", Target: "prod", Ingress: &migration.Ingress{Port: 8080, Protocol: "http", Paths: []string{"/*"}}},
		},
	}}
	hosts := []string{"legacy.example.com"}
	for i := range 13 {
		id := fmt.Sprintf("c%02d", i)
		hosts = append(hosts, id+".app.example.com")
		w.spec.Customers = append(w.spec.Customers,
			migration.Customer{ID: id, Tenant: int64(i + 1), Hosts: hosts[len(hosts)-1:], Workloads: []string{"web", "api"}})
	}
	w.HookReceiver = NewHookReceiver(t, HookSecret, hosts...)
	w.Change("legacy.example.com", map[string]int{"legacy": 7}, nil)
	w.spec.Routes = []migration.Route{{Name: "edge", Hook: &migration.HookRoute{Target: "prod", Listener: "listener", URL: w.URL,
		Secret: "env://HOOK", Timeout: migration.Duration(10 * time.Second), OnPrem: HookOnPrem, AWS: HookOnAWS, Front: w.URL,
		Workloads: map[string]string{"web": "http://10.0.0.1:8080", "api": "http://10.0.0.1:8080"}}}}
	return w
}

// Spec is the spec.
func (w *Hook) Spec() *migration.Spec { return w.spec }

// HookSecrets knows one secret, whatever it is called.
type HookSecrets string

// Resolve answers it.
func (s HookSecrets) Resolve(context.Context, migration.SecretRef) (string, error) {
	return string(s), nil
}

// NewRouter is another worker's router.
func (w *Hook) NewRouter() Router {
	e := &spyglass{w: w}
	r := hook.New(HookSecrets(HookSecret), hook.Options{Transport: e})
	e.router = r
	return r
}

// HoldLook holds the next answer to r of what stands for a host.
func (w *Hook) HoldLook(r Router) (<-chan struct{}, func()) { return w.looks.hold(r) }

// spyglass is how one router of Drover's sees the user's.
type spyglass struct {
	w      *Hook
	router Router
}

// RoundTrip carries a request.
func (e *spyglass) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet {
		return http.DefaultTransport.RoundTrip(req)
	}
	seen := e.w.looks.begin(e.router)
	res, err := http.DefaultTransport.RoundTrip(req)
	seen()
	return res, err
}

// Serves is by the weights. Which workload takes a path the front door of either side decides.
func (w *Hook) Serves(t *testing.T, host, reqPath string) (side migration.Side, workload string) {
	t.Helper()
	workload = "web"
	if strings.HasPrefix(reqPath, "/api/") {
		workload = "api"
	}
	at := w.Host(host).Weights
	require.NotEmpty(t, at, "the router does not know %s", host)
	require.Zero(t, at["legacy"])
	if at[HookOnAWS] > 0 {
		return migration.AWS, workload
	}
	return migration.OnPrem, workload
}

// Share counts weights.
func (w *Hook) Share(t *testing.T, host, _ string) int {
	t.Helper()
	at := w.Host(host).Weights
	all := 0
	for _, weight := range at {
		all += weight
	}
	require.NotZero(t, all, "%s is sent nowhere", host)
	return routes.All * at[HookOnAWS] / all
}

// Standing is what stands for each host, or stood before Drover came.
func (w *Hook) Standing(t *testing.T) string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var lines []string
	for name, h := range w.hosts {
		stands := h.Weights
		if h.Note != nil {
			stands = h.before
		}
		lines = append(lines, fmt.Sprintf("%s %v", name, stands))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Drovers counts notes.
func (w *Hook) Drovers(*testing.T) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hosts {
		if h.Note != nil {
			n++
		}
	}
	return n
}

// Packed is a note for every host: who came home keeps it, so that what is late changes nothing.
func (w *Hook) Packed(int) int { return len(w.spec.Customers) }
