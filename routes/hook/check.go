package hook

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drover-migration/drover/migration"
)

// Check asks each router, and says what would stop Drover from routing its customers, or change
// what their requests meet today. It writes nothing: whether conditions are heeded shows when the
// routes are recorded.
func (rt *Router) Check(ctx context.Context, spec *migration.Spec) (out []migration.Finding, err error) {
	for _, r := range spec.Routes {
		if r.Hook == nil {
			continue
		}
		ch := &check{route: r}
		if ch.l, err = rt.layout(ctx, spec, r); err != nil {
			if ctx.Err() != nil {
				return out, wrong(r, err)
			}
			ch.find("route-secret", "correct the route's secret, url or caFile; the main worker reads them", "%v", err)
		} else if err := ch.run(ctx); err != nil {
			return out, wrong(r, err)
		}
		out = append(out, ch.findings...)
	}
	return out, nil
}

type check struct {
	route    migration.Route
	l        *layout
	findings []migration.Finding
}

func (ch *check) find(name, remedy, reason string, args ...any) {
	ch.findings = append(ch.findings, migration.Finding{Severity: migration.Blocker, Check: name, Subject: "route " + ch.route.Name,
		Reason: fmt.Sprintf(reason, args...), Remedy: remedy})
}

func (ch *check) run(ctx context.Context) error {
	if !ch.speaks(ctx) {
		return ctx.Err() // all else would only say so again
	}
	ch.verifies(ctx)
	ch.front(ctx)
	return ch.hosts(ctx)
}

// speaks says whether the router is reached, takes the signature, answers the protocol and has the
// plan's backends.
func (ch *check) speaks(ctx context.Context) bool {
	h := ch.route.Hook
	names, err := ch.l.peer.backends(ctx)
	switch {
	case err == nil:
	case errors.Is(err, errUnsigned):
		ch.find("route-signature", "give the router the secret that "+string(h.Secret)+" holds, and both machines the time", "%v", err)
		return false
	case errors.Is(err, errProtocol), errors.Is(err, errUnknown):
		ch.find("route-protocol", "correct the route's url, or have the router answer as docs/route-hook.md says", "%v", err)
		return false
	default:
		ch.find("route-reach", "let the main worker reach the router; caFile is for a certificate of an authority of your own", "%v", err)
		return false
	}
	for _, name := range []string{h.OnPrem, h.AWS} {
		if !slices.Contains(names, name) {
			ch.find("route-backend", "correct onprem and aws of the route, or add the backend to the router",
				"the router has no backend %s; it has %s", name, strings.Join(names[:min(len(names), mostBackends)], ", "))
		}
	}
	return true
}

// verifies wants the router to refuse what the route's secret has not signed.
func (ch *check) verifies(ctx context.Context) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	stranger := &peer{ch.l.peer.Signing("whsec_" + base64.StdEncoding.EncodeToString(key)), ch.l.peer.url, ch.l.peer.turns}
	switch _, err := stranger.backends(ctx); {
	case errors.Is(err, errUnsigned):
	case err == nil, errors.Is(err, errProtocol):
		ch.find("route-signature", "have it verify each request and answer 401, as docs/route-hook.md says",
			"the router answers whoever asks: a request that another secret had signed was taken")
	default:
		ch.find("route-signature", "have it answer 401", "of a request that another secret had signed: %v", err)
	}
}

// frontWithin is how long it may take to connect.
const frontWithin = 5 * time.Second

// front wants probes to reach where customers' requests come in.
func (ch *check) front(ctx context.Context) {
	at, _, err := Endpoint(ch.route.Hook.Front)
	if err == nil {
		var conn net.Conn
		if conn, err = (&net.Dialer{Timeout: frontWithin}).DialContext(ctx, "tcp", at); err == nil {
			_ = conn.Close()
		}
	}
	if err != nil {
		ch.find("route-front", "correct the route's front, or let the main worker reach it: its probes ask there",
			"where the router takes customers' requests: %v", err)
	}
}

// hosts looks at what stands for each host.
func (ch *check) hosts(ctx context.Context) error {
	hosts := ch.l.all()
	odd := make([]string, len(hosts))
	claimed := make([]bool, len(hosts))
	at := map[*host]int{}
	for i, h := range hosts {
		at[h] = i
	}
	err := everyHost(hosts, func(h *host) error {
		s, err := ch.l.peer.read(ctx, h.name)
		f, err := ch.l.see(h, s, err)
		odd[at[h]], claimed[at[h]] = f.odd, f.note != nil && f.note.Plan != ch.l.plan
		return err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		ch.find("route-protocol", "have the router answer as docs/route-hook.md says", "%v", err)
	}
	for i, h := range hosts {
		name := "route-host"
		if claimed[i] {
			name = "route-host-claimed"
		}
		if odd[i] != "" {
			ch.find(name, "the route changes nothing that it does not know", "customer %q: %s", h.customer, odd[i])
		}
	}
	return nil
}

// Endpoint is where a URL leads, as "host:port", and whether by HTTPS.
func Endpoint(address string) (at string, https bool, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "", false, errors.New("the address is none")
	}
	port := u.Port()
	if https = u.Scheme == "https"; port == "" {
		port = map[bool]string{true: "443", false: "80"}[https]
	}
	return net.JoinHostPort(u.Hostname(), port), https, nil
}
