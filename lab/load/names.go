package load

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Names looks hosts up as a stub resolver does: what a name server answers is believed for its TTL.
type Names struct {
	server string // host:port

	mu    sync.Mutex
	known map[string]known
}

type known struct {
	ip    string
	until time.Time
}

// NewNames asks a name server, host:port.
func NewNames(server string) *Names { return &Names{server: server, known: map[string]known{}} }

// Client is an HTTP client that finds every host by name. It opens a connection for each request:
// one that was kept open would go on to lead to where the name led once.
func (n *Names) Client(timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			ip, err := n.Lookup(ctx, host)
			if err != nil {
				return nil, err
			}
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(ip, port))
		}}}
}

// Lookup is where a host is.
func (n *Names) Lookup(ctx context.Context, host string) (ip string, err error) {
	n.mu.Lock()
	k, ok := n.known[host]
	n.mu.Unlock()
	if ok && time.Now().Before(k.until) {
		return k.ip, nil
	}
	a, _, err := new(dns.Client).ExchangeContext(ctx, new(dns.Msg).SetQuestion(dns.Fqdn(host), dns.TypeA), n.server)
	if err != nil {
		return "", fmt.Errorf("look up %s: %w", host, err)
	}
	ttl := uint32(1<<31 - 1)
	for _, rr := range a.Answer {
		ttl = min(ttl, rr.Header().Ttl)
		if r, ok := rr.(*dns.A); ok {
			ip = r.A.String()
		}
	}
	if ip == "" {
		return "", fmt.Errorf("look up %s: %s", host, dns.RcodeToString[a.Rcode])
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known[host] = known{ip, time.Now().Add(time.Duration(ttl) * time.Second)}
	return ip, nil
}
