package lb

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWildcards(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"a.example.com", "a.example.com", true}, {"a.example.com", "b.example.com", false}, {"*.example.com", "a.b.example.com", true},
		{"*.example.com", "example.com", false}, {"/api/*", "/api/", true}, {"/api/*", "/api", false}, {"/*", "/", true},
		{"/a?c", "/abc", true}, {"/a?c", "/ac", false}, {"*a*b", "xaxxaxb", true}, {"*a*b", "xaxxaxbc", false}, {"", "", true},
		{"", "x", false},
	} {
		require.Equal(t, c.want, wildcard(c.pattern, c.s), "%q against %q", c.pattern, c.s)
	}
}

func TestWeightsAreObeyed(t *testing.T) {
	n := 0
	for range 4000 {
		if pick([]Forward{{"a", 3}, {"b", 1}, {"c", 0}}) == "a" {
			n++
		}
	}
	require.InDelta(t, 3000, n, 200)
	require.Empty(t, pick([]Forward{{"a", 0}}))
}

// target answers with its name and the host it was asked for.
func target(t *testing.T, name string) Target {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, name+" "+r.Host) }))
	t.Cleanup(s.Close)
	host, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
	require.NoError(t, err)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	return Target{ID: host, Address: host, Port: n}
}

func TestRulesAreFollowedAsMotoChangesThem(t *testing.T) {
	web, api, cloud := target(t, "web"), target(t, "api"), target(t, "cloud")
	groups := []TargetGroup{{ARN: "web", HealthCheckPath: "/", Targets: []Target{web}},
		{ARN: "api", HealthCheckPath: "/", Targets: []Target{api}},
		{ARN: "cloud", HealthCheckPath: "/", Targets: []Target{cloud, {Address: "127.0.0.1", Port: 1}}}, {ARN: "none"}}
	listener := func(extra ...Rule) []Listener {
		return []Listener{{ARN: "other", Port: 443, Rules: []Rule{{Priority: "1", Fixed: &Fixed{Status: 418}}}},
			{ARN: "ours", Port: 80, Rules: append(extra,
				Rule{Priority: "default", Forward: []Forward{{"web", 1}}},
				Rule{Priority: "50", Conditions: []Condition{{"path-pattern", []string{"/api/*"}}}, Forward: []Forward{{"api", 1}}},
				Rule{Priority: "60", Conditions: []Condition{{"host-header", []string{"gone.example.com"}}},
					Fixed: &Fixed{Status: 404, Body: "gone"}},
				Rule{Priority: "70", Conditions: []Condition{{"host-header", []string{"empty.example.com"}}},
					Forward: []Forward{{"none", 1}}})}}
	}
	var state atomic.Pointer[State]
	state.Store(&State{Version: 1, Listeners: listener(), TargetGroups: groups})
	moto := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 100 { // as the lab's moto does: answer at a change, or after a while
			if s := state.Load(); r.URL.Query().Get("since") != strconv.Itoa(s.Version) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		_ = json.NewEncoder(w).Encode(state.Load())
	}))
	t.Cleanup(moto.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := New(moto.URL, 80)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- b.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-served) })

	ask := func(host, path string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+path, nil)
		require.NoError(t, err)
		req.Host = host
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return strconv.Itoa(res.StatusCode) + " " + strings.TrimSpace(string(body))
	}
	version := func(n int) {
		require.Eventually(t, func() bool { v, _ := b.Version(); return v == n }, 5*time.Second, 5*time.Millisecond)
	}
	version(1)
	require.Equal(t, "200 web a.example.com", ask("a.example.com", "/"))
	require.Equal(t, "200 api a.example.com", ask("a.example.com", "/api/x"))
	require.Equal(t, "404 gone", ask("gone.example.com", "/"))
	require.Equal(t, "503 no target", ask("empty.example.com", "/"))

	state.Store(&State{Version: 2, TargetGroups: groups, Listeners: listener(
		Rule{Priority: "2", Conditions: []Condition{{"host-header", []string{"A.example.com", "c.example.com"}}},
			Forward: []Forward{{"cloud", 100}, {"web", 0}}})})
	version(2)
	// One of its targets refuses connections: after its probes it gets no more requests.
	require.Eventually(t, func() bool {
		return ask("a.example.com", "/api/x") == "200 cloud a.example.com" && len(b.health.bad()) == 1
	}, 10*time.Second, 20*time.Millisecond)
	for range 10 {
		require.Equal(t, "200 cloud a.example.com", ask("a.example.com", "/"))
	}
	require.Equal(t, "200 web b.example.com", ask("b.example.com", "/"))
}

// bad are the targets that are out.
func (h *health) bad() (out []string) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for at, n := range h.fails {
		if n >= unhealthyAfter {
			out = append(out, at)
		}
	}
	return out
}
