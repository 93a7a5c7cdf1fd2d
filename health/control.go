package health

import (
	"context"
	"net/http"
	"time"
)

// controlHost is a host that nobody can have (RFC 6761). A load balancer answers it by its default
// action, whatever that is.
const controlHost = "drover-control.invalid"

const (
	// controlTimeout bounds one control sample.
	controlTimeout = 3 * time.Second
	// controlFresh is how long a control sample speaks for others that fail meanwhile.
	controlFresh = 250 * time.Millisecond
)

// controls take a sample that has nothing to do with a customer whenever a customer's sample
// failed: over the same resolver and the same load balancer, for hosts that no customer has. Any
// answer counts, since even an error page shows that this worker reaches the load balancer. If none
// comes, the worker reaches nothing, and the customer's failure says nothing about the customer.
type controls struct {
	prober *prober
	last   fresh[string] // by the load balancer's address: why nothing is reached; "": something is
}

// blind says why this worker cannot judge what is behind a load balancer; "": it can.
func (c *controls) blind(ctx context.Context, front Endpoint, hosts []string) string {
	why, ok := c.last.ask(ctx, front.Address, controlFresh,
		func(ctx context.Context) string { return c.sample(ctx, front, append([]string{controlHost}, hosts...)) })
	if !ok {
		return "the control sample was cut off"
	}
	return why
}

// sample asks all hosts at once; the first answer decides.
func (c *controls) sample(ctx context.Context, front Endpoint, hosts []string) (blind string) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	errs := make(chan error, len(hosts))
	for _, h := range hosts {
		go func() { errs <- c.prober.reach(ctx, front, h) }()
	}
	var err error
	for range hosts {
		if err = <-errs; err == nil {
			return ""
		}
	}
	return "this worker reaches nothing at the load balancer " + front.Address + ", for no customer: " + brief(err, controlTimeout)
}

// reach wants an answer, whatever it is, and takes any certificate.
func (p *prober) reach(ctx context.Context, at Endpoint, host string) error {
	req, err := http.NewRequestWithContext(context.WithValue(ctx, dialled{}, at.Address), http.MethodGet, at.scheme()+"://"+host+"/", nil)
	if err != nil {
		return err
	}
	res, err := p.machines.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}
