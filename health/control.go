package health

import (
	"context"
	"net/http"
	"sync"
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

	mu   sync.Mutex
	last map[string]*control // by the load balancer's address
}

type control struct {
	began time.Time
	done  chan struct{}
	blind string // why nothing is reached; "": something is
}

// blind says why this worker cannot judge what is behind a load balancer; "": it can.
func (c *controls) blind(ctx context.Context, front Endpoint, hosts []string) string {
	c.mu.Lock()
	k := c.last[front.Address]
	if k == nil || time.Since(k.began) > controlFresh {
		k = &control{began: time.Now(), done: make(chan struct{})}
		c.last[front.Address] = k
		go c.sample(context.WithoutCancel(ctx), k, front, append([]string{controlHost}, hosts...))
	}
	c.mu.Unlock()
	select {
	case <-k.done:
		return k.blind
	case <-ctx.Done():
		return "the control sample was cut off"
	}
}

// sample asks all hosts at once; the first answer decides.
func (c *controls) sample(ctx context.Context, k *control, front Endpoint, hosts []string) {
	defer close(k.done)
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	errs := make(chan error, len(hosts))
	for _, h := range hosts {
		go func() { errs <- c.prober.reach(ctx, front, h) }()
	}
	var err error
	for range hosts {
		if err = <-errs; err == nil {
			return
		}
	}
	k.blind = "this worker reaches nothing at the load balancer " + front.Address + ", for no customer: " + brief(err, controlTimeout)
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
