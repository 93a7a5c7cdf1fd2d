package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	wire "github.com/miekg/dns"
)

// servers are the name servers of zones.
type servers struct {
	resolver  *net.Resolver
	instead   []string // of every zone's own
	askAtMost chan struct{}

	mu    sync.Mutex
	known map[string]address // by name
}

type address struct {
	at   time.Time
	host string // host:port
}

const (
	askTimeout   = time.Second     // one question to one server
	addressFresh = 5 * time.Minute // of a server's name
	askAtOnce    = 64
)

func newServers(resolver string, instead []string) *servers {
	s := &servers{resolver: net.DefaultResolver, instead: instead, askAtMost: make(chan struct{}, askAtOnce), known: map[string]address{}}
	if resolver != "" {
		s.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, resolver)
		}}
	}
	return s
}

// of are the addresses of a zone's servers. One whose name is not resolved is left out, unless none
// is.
func (s *servers) of(ctx context.Context, z zone) ([]string, error) {
	if len(s.instead) > 0 {
		return s.instead, nil
	}
	if len(z.servers) == 0 {
		return nil, fmt.Errorf("zone %s has no name servers that can be asked: it is private, and answers inside its VPCs only; "+
			"name servers that do answer for it in DROVER_ZONE_SERVERS", bare(z.name))
	}
	var out []string
	var last error
	for _, name := range z.servers {
		at, err := s.address(ctx, name)
		if err != nil {
			last = err
			continue
		}
		out = append(out, at)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("find the name servers of zone %s: %w", bare(z.name), last)
	}
	return out, nil
}

func (s *servers) address(ctx context.Context, name string) (string, error) {
	s.mu.Lock()
	a := s.known[name]
	s.mu.Unlock()
	if time.Since(a.at) < addressFresh {
		return a.host, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*askTimeout)
	defer cancel()
	ips, err := s.resolver.LookupNetIP(ctx, "ip4", name)
	if err != nil {
		return "", err
	}
	if len(ips) == 0 {
		return "", fmt.Errorf("%s has no address", name)
	}
	a = address{time.Now(), net.JoinHostPort(ips[0].String(), "53")}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[name] = a
	return a.host, nil
}

// ask asks one server one question, by UDP, and by TCP where the answer is too long for that.
func (s *servers) ask(ctx context.Context, server, name string, kind uint16) (*wire.Msg, error) {
	select {
	case s.askAtMost <- struct{}{}:
		defer func() { <-s.askAtMost }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	q := new(wire.Msg).SetQuestion(name, kind)
	q.RecursionDesired = len(s.instead) > 0
	q.SetEdns0(1232, false)
	var last error
	for _, network := range []string{"udp", "udp", "tcp"} { // a lost packet is no lost server
		a, _, err := (&wire.Client{Net: network, Timeout: askTimeout}).ExchangeContext(ctx, q, server)
		switch {
		case err == nil && a.Truncated && network == "udp":
			last = errors.New("the answer is longer than a packet")
		case err == nil && a.Rcode != wire.RcodeSuccess && a.Rcode != wire.RcodeNameError:
			return nil, fmt.Errorf("name server %s answers %s for %s", server, wire.RcodeToString[a.Rcode], bare(name))
		case err == nil:
			return a, nil
		default:
			last = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("ask name server %s for %s: %w", server, bare(name), last)
}

// sight is what one server says of a host.
type sight struct {
	server string
	err    error
	note   *note
	text   string // of the token record; "": there is none
	kind   types.RRType
	says   []string // sorted
	ttl    int64
}

// see asks every server of the zone for a host's token and its record.
func (rt *Router) see(ctx context.Context, c API, l *layout, h *host) ([]sight, error) {
	z, err := rt.zone(ctx, c, l)
	if err != nil {
		return nil, err
	}
	addresses, err := rt.servers.of(ctx, z)
	if err != nil {
		return nil, err
	}
	out := make([]sight, len(addresses))
	var all sync.WaitGroup
	for i, at := range addresses {
		all.Go(func() { out[i] = rt.servers.see(ctx, at, h) })
	}
	all.Wait()
	return out, nil
}

func (s *servers) see(ctx context.Context, server string, h *host) sight {
	out := sight{server: server}
	a, err := s.ask(ctx, server, tokenName(h.name), wire.TypeTXT)
	if err != nil {
		out.err = err
		return out
	}
	for _, rr := range a.Answer {
		if t, ok := rr.(*wire.TXT); ok && strings.EqualFold(t.Hdr.Name, tokenName(h.name)) {
			out.text = strings.Join(t.Txt, "")
			if n, err := readNote(out.text); err == nil {
				out.note = &n
			}
		}
	}
	kind := wire.TypeCNAME
	if h.onprem.kind == types.RRTypeA {
		kind = wire.TypeA
	}
	if a, err = s.ask(ctx, server, h.name, kind); err != nil {
		out.err = err
		return out
	}
	for _, rr := range a.Answer {
		if !strings.EqualFold(rr.Header().Name, h.name) {
			continue
		}
		switch r := rr.(type) {
		case *wire.CNAME:
			out.kind, out.says, out.ttl = types.RRTypeCname, append(out.says, fqdn(r.Target)), int64(r.Hdr.Ttl)
		case *wire.A:
			out.kind, out.says, out.ttl = types.RRTypeA, append(out.says, r.A.String()), int64(r.Hdr.Ttl)
		}
	}
	slices.Sort(out.says)
	return out
}

// answers says whether a server's answer is a value, with a TTL that is not above most.
func (s sight) answers(v value, most int64) bool {
	return v.alias == nil && s.kind == v.kind && slices.Equal(s.says, v.says) && s.ttl <= most
}

// right says whether what a server says of a host is what is wanted and nothing else. Where only a
// share of the requests goes to AWS, or the answer is an alias, an answer does not tell.
func (s sight) right(l *layout, h *host, share int, token int64) bool {
	switch {
	case s.err != nil:
		return false
	case s.text == "" && share == 0:
		return s.answers(h.onprem, 1<<31)
	case s.note == nil || s.note.plan != l.plan || s.note.customer != h.customer || s.note.token < token || s.note.share != share:
		return false
	case share == 0:
		return s.answers(h.onprem, s.note.ttl)
	default:
		return share == 100 && s.answers(h.aws, s.note.ttl)
	}
}

// inherited is what a wildcard answers for a host that has no record of its own; nil: nothing, or
// several servers differ.
func (rt *Router) inherited(ctx context.Context, c API, l *layout, h *host) (*types.ResourceRecordSet, error) {
	seen, err := rt.see(ctx, c, l, h)
	if err != nil {
		return nil, err
	}
	var out *types.ResourceRecordSet
	for _, s := range seen {
		if s.err != nil || len(s.says) == 0 {
			continue
		}
		set := value{kind: s.kind, says: s.says}.set(h.name, s.ttl)
		if out == nil || aws.ToInt64(set.TTL) > aws.ToInt64(out.TTL) {
			out = &set
		}
	}
	return out, nil
}
