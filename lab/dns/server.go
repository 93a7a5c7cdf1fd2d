package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Server answers on one address, by UDP and TCP.
type Server struct {
	// LoadBalancer is what every name below elb.amazonaws.com means.
	LoadBalancer net.IP
	// Records finds what Route 53 holds; nil: nothing.
	Records Records
	// Failing answers every question with a server failure while it is set.
	Failing atomic.Bool
}

// Records are the record sets of all hosted zones.
type Records interface {
	// Lookup returns the records of a name (lower case, with the final dot) and a type; found says
	// whether the name exists at all.
	Lookup(ctx context.Context, name string, qtype uint16) (rr []dns.RR, found bool, err error)
}

// elbZone is below which AWS names its load balancers.
const elbZone = ".elb.amazonaws.com."

// ttl of what is not from a record, in seconds.
const ttl = 1

// lookupTimeout bounds what a question may wait for moto.
const lookupTimeout = 2 * time.Second

// maxChain bounds how many CNAMEs are followed.
const maxChain = 8

// Listen binds addr (host:port) for both protocols and answers until ctx ends. Errors of binding
// come at once.
func (s *Server) Listen(ctx context.Context, addr string) error {
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		return fmt.Errorf("name server: %w", err)
	}
	l, err := net.Listen("tcp", pc.LocalAddr().String())
	if err != nil {
		return errors.Join(fmt.Errorf("name server: %w", err), pc.Close())
	}
	h := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		if s.Failing.Load() {
			_ = w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeServerFailure))
			return
		}
		_ = w.WriteMsg(s.Answer(ctx, q))
	})
	for _, srv := range []*dns.Server{{PacketConn: pc, Handler: h}, {Listener: l, Handler: h}} {
		go func() { _ = srv.ActivateAndServe() }()
		context.AfterFunc(ctx, func() {
			// Shutdown of a server that has not come up yet fails: closing what it listens on ends
			// it either way.
			_ = srv.Shutdown()
			_, _ = pc.Close(), l.Close()
		})
	}
	return nil
}

// Answer answers one message.
func (s *Server) Answer(ctx context.Context, q *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative = true
	if len(q.Question) != 1 {
		m.Rcode = dns.RcodeFormatError
		return m
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	name, qtype := strings.ToLower(q.Question[0].Name), q.Question[0].Qtype
	for range maxChain {
		rr, found, err := s.lookup(ctx, name, qtype)
		if err != nil {
			m.Rcode = dns.RcodeServerFailure
			return m
		}
		m.Answer = append(m.Answer, rr...)
		if !found && len(m.Answer) == 0 {
			m.Rcode = dns.RcodeNameError
		}
		next, ok := alias(rr, qtype)
		if !ok {
			break
		}
		name = next
	}
	return m
}

// alias is where a CNAME leads that does not answer the question itself.
func alias(rr []dns.RR, qtype uint16) (string, bool) {
	if len(rr) == 1 && qtype != dns.TypeCNAME {
		if c, ok := rr[0].(*dns.CNAME); ok {
			return strings.ToLower(c.Target), true
		}
	}
	return "", false
}

func (s *Server) lookup(ctx context.Context, name string, qtype uint16) ([]dns.RR, bool, error) {
	if strings.HasSuffix(name, elbZone) {
		if qtype != dns.TypeA || s.LoadBalancer == nil {
			return nil, true, nil
		}
		return []dns.RR{&dns.A{Hdr: header(name, dns.TypeA, ttl), A: s.LoadBalancer}}, true, nil
	}
	if s.Records == nil {
		return nil, false, nil
	}
	return s.Records.Lookup(ctx, name, qtype)
}

func header(name string, t uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: t, Class: dns.ClassINET, Ttl: ttl}
}
