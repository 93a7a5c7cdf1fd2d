package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Customer whose traffic is driven.
type Customer struct {
	ID     string `json:"id"`
	Tenant int64  `json:"tenant"`
	Host   string `json:"host"`
	// Port is where its requests go at whatever its host's name leads to; 0: they go to URL.
	Port int `json:"port,omitempty"`
}

// Options of a Load. Zero values take the defaults said.
type Options struct {
	URL       string // of the load balancer: every request goes there, with the customer's host name
	Names     string // name server (host:port) that those customers are found by who have a port
	Customers []Customer
	Clients   int           // of each customer; 2
	Rate      float64       // requests a second of all customers together; 80: two cores run the whole laboratory
	Ledger    string        // path
	GiveUp    time.Duration // what a client puts up with for one request; 10 s
	NoFiles   bool          // where no machine serves files
}

func (o Options) withDefaults() (Options, error) {
	if o.URL == "" || o.Ledger == "" || len(o.Customers) == 0 {
		return o, errors.New("start the load: URL, Ledger and Customers are needed")
	}
	if o.Clients == 0 {
		o.Clients = 2
	}
	if o.Rate == 0 {
		o.Rate = 80
	}
	if o.GiveUp == 0 {
		o.GiveUp = 10 * time.Second
	}
	return o, nil
}

// Load is running traffic.
type Load struct {
	opts   Options
	http   *http.Client
	named  *http.Client // of customers who are found by name
	ledger *Ledger
	score  score
	stop   chan struct{}
	stopOf sync.Once
	done   sync.WaitGroup
	ctx    context.Context // of the requests: lives until the clients have stopped by themselves
	cancel context.CancelFunc
}

// Start starts the traffic. It runs until Stop; the end of ctx cuts requests off, Stop lets them
// finish.
func Start(ctx context.Context, opts Options) (*Load, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	ledger, err := OpenLedger(opts.Ledger)
	if err != nil {
		return nil, err
	}
	l := &Load{opts: opts, ledger: ledger, stop: make(chan struct{}), score: newScore()}
	l.ctx, l.cancel = context.WithCancel(ctx)
	l.http = &http.Client{Timeout: attemptTimeout,
		Transport: &http.Transport{MaxIdleConnsPerHost: opts.Clients * len(opts.Customers), DisableCompression: true}}
	l.named = NewNames(opts.Names).Client(attemptTimeout)
	every := time.Duration(float64(time.Second) * float64(opts.Clients*len(opts.Customers)) / opts.Rate)
	for _, customer := range opts.Customers {
		for n := range opts.Clients {
			c := &client{load: l, customer: customer, name: fmt.Sprintf("%s/%d", customer.ID, n), n: n,
				rng: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
			l.done.Go(func() { c.run(every) })
		}
	}
	return l, nil
}

// Stop lets every client finish its request, and sums up. It may be called again.
func (l *Load) Stop() Summary {
	l.stopOf.Do(func() {
		close(l.stop)
		l.done.Wait()
		l.cancel()
		l.http.CloseIdleConnections()
		if err := l.ledger.Close(); err != nil {
			l.score.complain("close the ledger: " + err.Error())
		}
	})
	return l.Summary()
}

// Summary is how it stands now.
func (l *Load) Summary() Summary { return l.score.summary() }

// FaultStart declares that the lab has just broken a customer's AWS side: stalls are counted apart
// until FaultEnd, and the time to the first good answer is measured. Call it when the fault is in
// place: an answer to an attempt that began later ends the stall.
func (l *Load) FaultStart(customer string) { l.score.faultStart(customer, time.Now()) }

// FaultEnd declares that the lab has repaired what it broke.
func (l *Load) FaultEnd(customer string) { l.score.faultEnd(customer) }

// run is one client: a closed loop that aims at one request every so often and never catches up
// what it missed.
func (c *client) run(every time.Duration) {
	next := time.Now().Add(time.Duration(c.rng.Int64N(int64(every))))
	for {
		wait := time.NewTimer(time.Until(next))
		select {
		case <-c.load.stop:
			wait.Stop()
			return
		case <-c.load.ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		c.step()
		if next = next.Add(every); next.Before(time.Now()) {
			next = time.Now()
		}
	}
}
