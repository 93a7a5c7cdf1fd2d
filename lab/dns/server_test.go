package dns_test

import (
	"context"
	"net"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	labdns "github.com/drover-migration/drover/lab/dns"
)

// zone is Records in memory.
type zone map[string][]string

func (z zone) Lookup(_ context.Context, name string, qtype uint16) ([]dns.RR, bool, error) {
	lines, ok := z[name]
	var out []dns.RR
	for _, l := range lines {
		rr, err := dns.NewRR(name + " 5 IN " + l)
		if err != nil {
			return nil, false, err
		}
		if rr.Header().Rrtype == qtype || rr.Header().Rrtype == dns.TypeCNAME {
			out = append(out, rr)
		}
	}
	return out, ok, nil
}

func TestNamesLeadToTheLoadBalancerByBothProtocols(t *testing.T) {
	s := &labdns.Server{LoadBalancer: net.ParseIP("127.9.255.1"), Records: zone{
		"acme.app.example.com.": {"CNAME lb-1.us-east-1.elb.amazonaws.com."},
		"db.example.com.":       {"A 127.9.0.7"},
		"loop.example.com.":     {"CNAME loop.example.com."},
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	require.NoError(t, s.Listen(t.Context(), addr))
	for _, proto := range []string{"udp", "tcp"} {
		for name, want := range map[string]string{
			"Acme.App.example.com.": "127.9.255.1", "any.us-east-1.elb.amazonaws.com.": "127.9.255.1", "db.example.com.": "127.9.0.7",
			"nobody.example.com.": "", "loop.example.com.": "",
		} {
			q := new(dns.Msg).SetQuestion(name, dns.TypeA)
			a, _, err := (&dns.Client{Net: proto}).ExchangeContext(t.Context(), q, addr)
			require.NoError(t, err)
			got := ""
			for _, rr := range a.Answer {
				if r, ok := rr.(*dns.A); ok {
					got = r.A.String()
				}
			}
			require.Equal(t, want, got, "%s by %s", name, proto)
			require.Equal(t, name == "nobody.example.com.", a.Rcode == dns.RcodeNameError)
		}
	}
}
