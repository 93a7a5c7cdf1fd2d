package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/drover-migration/drover/migration"
)

// Endpoint is where a request can be sent.
type Endpoint struct {
	Address string `json:"address"` // host:port
	HTTPS   bool   `json:"https,omitempty"`
	Healthy bool   `json:"healthy,omitempty"` // as the load balancer says, where it was asked
	Reason  string `json:"reason,omitempty"`  // why not
}

func (e Endpoint) scheme() string {
	if e.HTTPS {
		return "https"
	}
	return "http"
}

// Backends says where a customer's requests go. The worker joins it to the router in use.
type Backends interface {
	// Front is where the route takes requests to a host now.
	Front(ctx context.Context, target migration.Target, route migration.Route, host string) (Endpoint, error)
	// Behind lists the machines of a workload on one side.
	Behind(ctx context.Context, plan string, target migration.Target, route migration.Route, workload migration.Workload,
		side migration.Side) ([]Endpoint, error)
	// Metric is a number that the load balancer counts of a workload on one side, as it could be
	// read at a time; known is false where it has none yet.
	Metric(ctx context.Context, plan string, target migration.Target, route migration.Route, workload migration.Workload,
		side migration.Side, query migration.CloudWatchQuery, at time.Time) (value float64, known bool, err error)
	// Anchors are host names of no customer that the route sends to a workload on AWS.
	Anchors(plan string, route migration.Route) []string
}

// prober asks over connections of its own.
type prober struct {
	route    *http.Client // wants a certificate for the customer's host, as the customer does
	machines *http.Client // takes any certificate, as a load balancer does
	plain    *http.Client // goes where the address says
	dialer   *net.Dialer
}

// dialled is the context's key of the address that a request goes to, whatever host it names.
type dialled struct{}

// newProber resolves names at dns ("host:port"), or as the machine does where it is empty. An
// answer from a connection that was kept open says little about the next customer's, so none is
// kept.
func newProber(dns string) *prober {
	d := &net.Dialer{}
	if dns != "" {
		d.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, dns)
		}}
	}
	client := func(c *tls.Config) *http.Client {
		return &http.Client{
			Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true,
				DialContext: func(ctx context.Context, network, named string) (net.Conn, error) {
					if at, ok := ctx.Value(dialled{}).(string); ok {
						named = at
					}
					return d.DialContext(ctx, network, named)
				}},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &prober{dialer: d, route: client(&tls.Config{}), machines: client(&tls.Config{InsecureSkipVerify: true}),
		plain: client(&tls.Config{})}
}

// sample is one answer.
type sample struct {
	took   time.Duration
	answer string // what was answered, in a few words
	ok     bool

	unreached bool // no connection was made
	unasked   bool // nobody could be asked, or this worker reaches nothing: that counts neither for nor against the customer
}

// request is what is sent to a customer's application. A host is told to TLS too: by it a load
// balancer chooses its certificate.
type request struct {
	method, host, path string
	kind, body         string // of the content; "": none
}

// http asks for the probe's path with the customer's host name.
func (p *prober) http(ctx context.Context, client *http.Client, at Endpoint, host string, probe migration.Probe) sample {
	s, status := p.send(ctx, client, at, probe.Timeout.D(), request{method: http.MethodGet, host: host, path: probe.HTTP.Path})
	s.ok = status == probe.HTTP.Expect
	return s
}

// send has the status of an answer; 0: there was none.
func (p *prober) send(ctx context.Context, client *http.Client, at Endpoint, timeout time.Duration, r request) (s sample, status int) {
	start := time.Now() // before the time-out begins: a probe that ran into it took at least that long
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, dialled{}, at.Address), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, at.scheme()+"://"+r.host+r.path, strings.NewReader(r.body))
	if err != nil {
		return sample{answer: err.Error()}, 0
	}
	if r.body != "" {
		req.Header.Set("Content-Type", r.kind)
	}
	failed := func(err error) (sample, int) {
		var op *net.OpError
		unreached := errors.As(err, &op) && op.Op == "dial"
		return sample{took: time.Since(start), answer: brief(err, timeout), unreached: unreached}, 0
	}
	res, err := client.Do(req)
	if err != nil {
		return failed(err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	_ = res.Body.Close()
	if err != nil {
		return failed(err)
	}
	return sample{took: time.Since(start), answer: "HTTP " + strconv.Itoa(res.StatusCode)}, res.StatusCode
}

// tcp opens a connection.
func (p *prober) tcp(ctx context.Context, at Endpoint, probe migration.Probe) sample {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, probe.Timeout.D())
	defer cancel()
	c, err := p.dialer.DialContext(ctx, "tcp", at.Address)
	if err != nil {
		return sample{took: time.Since(start), answer: brief(err, probe.Timeout.D()), unreached: true}
	}
	_ = c.Close()
	return sample{took: time.Since(start), answer: "connected", ok: true}
}

func brief(err error, timeout time.Duration) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer within " + timeout.String()
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// name is how a probe is spoken of.
func name(p migration.Probe) string {
	switch {
	case p.HTTP != nil:
		return fmt.Sprintf("http %s expecting %d", p.HTTP.Path, p.HTTP.Expect)
	case p.TCP != nil:
		return "tcp"
	case p.Write != nil:
		return "write " + p.Write.Method + " " + p.Write.Path
	case p.Query != nil && p.Query.CloudWatch != nil:
		return "query " + p.Query.CloudWatch.Statistic + " of " + p.Query.CloudWatch.Metric
	case p.Query != nil:
		return "query " + p.Query.Prometheus.Query
	default:
		return "target group"
	}
}
