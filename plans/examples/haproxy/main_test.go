package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
	"github.com/drover-migration/drover/routes/hook"
	"github.com/drover-migration/drover/routes/routetest"
)

// haproxy answers the commands of HAProxy's runtime API that the adapter gives, in HAProxy's words.
type haproxy struct {
	mu   sync.Mutex
	keys []string
	has  map[string]string
	set  func() (refuse, hangUp bool) // called before an entry is replaced
}

func (h *haproxy) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		line, _ := bufio.NewReader(conn).ReadString('\n')
		if says, answers := h.says(strings.Fields(line)); answers {
			_, _ = fmt.Fprintln(conn, says)
		}
		_ = conn.Close()
	}
}

func (h *haproxy) says(words []string) (says string, answers bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch verb := strings.Join(words[:2], " "); {
	case verb == "show map":
		out := ""
		for _, k := range h.keys {
			out += "0x559281fe94c0 " + k + " " + h.has[k] + "\n"
		}
		return out, true
	case verb == "get map" && slices.Contains(h.keys, words[3]):
		return fmt.Sprintf("type=str, case=sensitive, found=yes, idx=tree, key=%q, value=%q, type=\"str\"\n", words[3],
			h.has[words[3]]), true
	case verb == "get map":
		return "type=str, case=sensitive, found=no\n", true
	case verb == "set map" && len(words) == 5 && slices.Contains(h.keys, words[3]):
		var refuse, hangUp bool
		if h.set != nil {
			refuse, hangUp = h.set()
		}
		if refuse {
			break
		}
		h.has[words[3]] = words[4]
		return "", !hangUp
	}
	return "entry not found.\n", true
}

func (h *haproxy) entry(host string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.has[host]
}

// world is HAProxy with the adapter before it, and a plan of three customers.
func world(t *testing.T) (*haproxy, *adapter, *migration.Spec) {
	t.Helper()
	dir, err := os.MkdirTemp("", "h") // a socket's path is short
	require.NoError(t, err)
	h := &haproxy{has: map[string]string{}}
	spec := &migration.Spec{Plan: "shop"}
	for _, id := range []string{"acme", "birch", "cedar"} {
		host := id + ".app.example.com"
		h.keys, h.has[host] = append(h.keys, host), "0"
		spec.Customers = append(spec.Customers, migration.Customer{ID: id, Hosts: []string{host}, Workloads: []string{"web"}})
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	require.NoError(t, err)
	go h.serve(l)
	a := &adapter{socket: filepath.Join(dir, "s"), file: filepath.Join(dir, "drover.map")}
	a.key, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(routetest.HookSecret, "whsec_"))
	require.NoError(t, err)
	s := httptest.NewServer(a)
	t.Cleanup(func() {
		s.Close()
		_ = l.Close()
		require.NoError(t, os.RemoveAll(dir))
	})
	spec.Routes = []migration.Route{{Name: "edge", Hook: &migration.HookRoute{URL: s.URL, Front: s.URL, OnPrem: onprem, AWS: onAWS,
		Timeout: migration.Duration(10 * time.Second), Workloads: map[string]string{"web": "http://10.0.0.10:8080"}}}}
	return h, a, spec
}

func TestDroverRoutesByHAProxy(t *testing.T) {
	h, a, spec := world(t)
	rt := hook.New(routetest.HookSecrets(routetest.HookSecret), hook.Options{})
	found, err := rt.Check(t.Context(), spec)
	require.NoError(t, err)
	require.Empty(t, found)
	require.NoError(t, rt.Record(t.Context(), spec))
	for _, step := range []struct {
		wanted routes.Wanted
		share  string
	}{
		{routes.Wanted{Customer: "acme", Side: migration.AWS, Token: 2, Weight: 25}, "25"},
		{routes.Wanted{Customer: "acme", Side: migration.AWS, Token: 2}, "100"},
		{routes.Wanted{Customer: "acme", Side: migration.OnPrem, Token: 3}, "0"},
		{routes.Wanted{Customer: "acme", Side: migration.AWS, Token: 2}, "0"}, // who comes late changes nothing
		{routes.Wanted{Customer: "birch", Side: migration.AWS, Token: 2, Weight: 5}, "5"},
	} {
		one := []routes.Wanted{step.wanted}
		_, err := rt.Reconcile(t.Context(), spec, one)
		require.NoError(t, err)
		share, note, _ := strings.Cut(h.entry(step.wanted.Customer+".app.example.com"), ":")
		require.Equal(t, step.share, share)
		require.NotEmpty(t, note)
		states, err := rt.Verify(t.Context(), spec, one)
		require.NoError(t, err)
		require.Empty(t, states[step.wanted.Customer].Wrong)
	}
	kept, err := os.ReadFile(a.file)
	require.NoError(t, err)
	require.Contains(t, string(kept), "birch.app.example.com "+h.entry("birch.app.example.com")+"\n", "HAProxy begins with it")
	require.Contains(t, string(kept), "cedar.app.example.com 0\n")

	home := []routes.Wanted{{Customer: "acme", Side: migration.OnPrem, Token: 3}, {Customer: "birch", Side: migration.OnPrem, Token: 3},
		{Customer: "cedar", Side: migration.OnPrem}}
	_, err = rt.Reconcile(t.Context(), spec, home)
	require.NoError(t, err)
	back, err := rt.Restore(t.Context(), spec, home)
	require.NoError(t, err)
	require.Equal(t, routes.Restored{Deleted: 2}, back)
	for host, entry := range h.has {
		require.Equal(t, "0", entry, host)
	}
}

func TestWhatAnybodyElseWroteIntoTheMapIsSeen(t *testing.T) {
	h, _, spec := world(t)
	rt := hook.New(routetest.HookSecrets(routetest.HookSecret), hook.Options{})
	h.has["acme.app.example.com"] = "maintenance"
	h.has["birch.app.example.com"] = "50"
	h.keys = h.keys[:2]
	found, err := rt.Check(t.Context(), spec)
	require.NoError(t, err)
	require.Len(t, found, 3)
	require.Contains(t, found[0].Reason, "sends acme.app.example.com to other")
	require.Contains(t, found[1].Reason, "sends birch.app.example.com to aws (weight 50) and onprem (weight 50)")
	require.Contains(t, found[2].Reason, "does not know cedar.app.example.com")
}

func TestNobodyElseChangesAnything(t *testing.T) {
	h, a, _ := world(t)
	put := func(host, condition string, body string) int { return a.put(host, condition, []byte(body)) }
	tag := etag("0")
	for name, got := range map[string]int{
		"without a condition":      put("acme.app.example.com", "", `{"weights":{"aws":1}}`) - http.StatusPreconditionRequired,
		"another condition":        put("acme.app.example.com", `"x"`, `{"weights":{"aws":1}}`) - http.StatusPreconditionFailed,
		"an unknown host":          put("nobody.example.com", tag, `{"weights":{"aws":1}}`) - http.StatusNotFound,
		"an unknown backend":       put("acme.app.example.com", tag, `{"weights":{"gcp":1}}`) - http.StatusUnprocessableEntity,
		"a share without a number": put("acme.app.example.com", tag, `{"weights":{"aws":1,"onprem":2}}`) - http.StatusUnprocessableEntity,
		"a note that is long": put("acme.app.example.com", tag, `{"weights":{"aws":1},"note":"`+strings.Repeat("x", mostNote)+`"}`) -
			http.StatusUnprocessableEntity,
	} {
		require.Zero(t, got, name)
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/hosts/acme.app.example.com", strings.NewReader(`{"weights":{"aws":1}}`)))
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Equal(t, "0", h.entry("acme.app.example.com"))
}

// After a restart HAProxy has all that Drover was told is done, wherever it was cut off.
func TestTheFileOfTheMapIsNeverBehindIt(t *testing.T) {
	const host = "acme.app.example.com"
	for name, c := range map[string]struct {
		disturb        func(*haproxy, *adapter)
		status         int
		memory, onDisk string
	}{
		"whatever ends after HAProxy has changed it": {func(h *haproxy, a *adapter) {
			h.set = func() (bool, bool) {
				b, err := os.ReadFile(a.file)
				require.NoError(t, err)
				require.Contains(t, string(b), host+" 100\n", "before HAProxy is told")
				return false, false
			}
		}, http.StatusNoContent, "100", "100"},
		"HAProxy refuses": {func(h *haproxy, _ *adapter) { h.set = func() (bool, bool) { return true, false } },
			http.StatusBadGateway, "0", "0"},
		"HAProxy's answer is lost": {func(h *haproxy, _ *adapter) { h.set = func() (bool, bool) { return false, true } },
			http.StatusNoContent, "100", "100"},
		"the file cannot be written": {func(_ *haproxy, a *adapter) { require.NoError(t, os.Mkdir(a.file+".new", 0o700)) },
			http.StatusBadGateway, "0", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			h, a, _ := world(t)
			h.has["birch.app.example.com"] = "under maintenance"
			others := "\nbirch.app.example.com under maintenance\ncedar.app.example.com 0\n"
			require.NoError(t, os.WriteFile(a.file, []byte(host+" 0"+others), 0o600))
			c.disturb(h, a)
			require.Equal(t, c.status, a.put(host, etag("0"), []byte(`{"weights":{"aws":1}}`)))
			require.Equal(t, c.memory, h.entry(host))
			b, err := os.ReadFile(a.file)
			require.NoError(t, err)
			require.Equal(t, host+" "+c.onDisk+others, string(b))
		})
	}
}
