package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/drover-migration/drover/internal/permanent"
)

// Peers makes Peers, and keeps their connections. It is safe for concurrent use.
type Peers struct {
	// Transport carries all requests; nil: one for each caFile, which trusts what is in it.
	Transport http.RoundTripper

	mu      sync.Mutex
	clients map[string]trusting // by caFile; "": the machine's own authorities
}

// trusting is a client that trusts the authorities in a PEM file.
type trusting struct {
	pem    []byte
	client *http.Client
}

// Peer is a system of the user's own that is asked and told by signed requests below one address.
type Peer struct {
	base    *url.URL
	secret  string
	timeout time.Duration
	client  *http.Client
}

// Of is the peer at an address. secret signs, as CheckSecret wants it. A request takes at most
// timeout. caFile names the authorities whose certificates are taken, in PEM; empty: those that the
// machine trusts. It is read anew: it may be replaced while a plan is at work.
func (p *Peers) Of(address, secret, caFile string, timeout time.Duration) (*Peer, error) {
	base, err := url.Parse(address)
	if err != nil || base.Hostname() == "" {
		return nil, permanent.New("BadAddress", nil, "the address is none") // the cause would quote it
	}
	c, err := p.client(caFile)
	return &Peer{base: base, secret: secret, timeout: timeout, client: c}, err
}

// Signing is the same peer, asked by requests that another secret signs.
func (p *Peer) Signing(secret string) *Peer {
	o := *p
	o.secret = secret
	return &o
}

// Host is where it is, without what may be secret of its address.
func (p *Peer) Host() string { return p.base.Hostname() }

const keptOpen = 16 // connections to one host

func (p *Peers) client(caFile string) (*http.Client, error) {
	var pem []byte
	if caFile != "" {
		var err error
		if pem, err = os.ReadFile(caFile); err != nil { //nolint:gosec // the plan names it
			return nil, fmt.Errorf("read the caFile on this worker: %w", err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.clients[caFile]; ok && bytes.Equal(known.pem, pem) {
		return known.client, nil
	}
	c := &http.Client{Transport: p.Transport, CheckRedirect: poster.CheckRedirect}
	if p.Transport == nil {
		t := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: keptOpen, IdleConnTimeout: time.Minute,
			MaxResponseHeaderBytes: mostAnswer, DisableCompression: true, ForceAttemptHTTP2: true}
		if caFile != "" {
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM(pem) {
				return nil, permanent.New("BadCA", nil, "%s has no certificate in PEM; correct the caFile", caFile)
			}
			t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		}
		c.Transport = t
	}
	if p.clients == nil {
		p.clients = map[string]trusting{}
	}
	p.clients[caFile] = trusting{pem, c}
	return c, nil
}

// Answer is what came back, whatever its status.
type Answer struct {
	Status int
	ETag   string
	Body   []byte // at most 64 KiB: a longer one is an error
}

// Ask makes one request of what is below the peer's address. It is signed, and the signature's id
// repeats method, what and condition (If-Match; empty: none), so that it covers them. No error
// holds the address or words of the answer.
func (p *Peer) Ask(ctx context.Context, method, what, ifMatch string, body []byte) (a Answer, err error) {
	within, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(within, method, p.base.JoinPath(what).String(), bytes.NewReader(body))
	if err != nil {
		return a, permanent.New("BadAddress", nil, "the address is none")
	}
	signed := method + " " + what
	if ifMatch != "" {
		signed += " " + ifMatch
		req.Header.Set("If-Match", ifMatch)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if err := Sign(req, p.secret, signed, body, time.Now()); err != nil {
		return a, err
	}
	res, err := p.client.Do(req)
	if err == nil {
		defer func() { _ = res.Body.Close() }()
		a = Answer{Status: res.StatusCode, ETag: res.Header.Get("ETag")}
		a.Body, err = io.ReadAll(io.LimitReader(res.Body, mostAnswer+1))
	}
	switch {
	case err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return Answer{}, fmt.Errorf("no answer within %s", p.timeout)
	case err != nil:
		return Answer{}, bare(err)
	case len(a.Body) > mostAnswer:
		return Answer{}, fmt.Errorf("the answer is longer than %d KiB", mostAnswer>>10)
	}
	return a, nil
}
