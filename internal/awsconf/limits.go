package awsconf

import (
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Limits bound the calls of a client. A call that AWS never answers must not hold up what waits for
// it.
type Limits struct {
	Answer   time.Duration // from the end of the request to the beginning of its answer, of each attempt
	Attempts int           // of one call
	Backoff  time.Duration // the longest wait between two attempts
}

// The limits of clients, by what waits for them. None bounds the time that a body takes.
var (
	// Quick is for calls that customers wait for: their route, or a connection within a freeze.
	Quick = Limits{Answer: 2 * time.Second, Attempts: 3, Backoff: 500 * time.Millisecond}
	// Patient is for calls that make and find machines, which AWS may think about for a while.
	Patient = Limits{Answer: 20 * time.Second, Attempts: 4, Backoff: 5 * time.Second}
	// Bulk is for calls that carry data: the next attempt of a large body is expensive.
	Bulk = Limits{Answer: 30 * time.Second, Attempts: 5, Backoff: 10 * time.Second}
)

// connectWithin bounds making a connection, name and TLS included apart.
const connectWithin = 3 * time.Second

// Within is c with limits on the calls of its clients.
func (l Limits) Within(c aws.Config) aws.Config {
	c = c.Copy()
	base, ok := c.HTTPClient.(*awshttp.BuildableClient) // it may know a CA of the user's own
	if !ok {
		base = awshttp.NewBuildableClient()
	}
	c.HTTPClient = base.WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = l.Answer
		t.TLSHandshakeTimeout = connectWithin
	})
	c.Retryer = func() aws.Retryer {
		return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
			o.StandardOptions = append(o.StandardOptions, func(s *retry.StandardOptions) {
				s.MaxAttempts, s.MaxBackoff = l.Attempts, l.Backoff
			})
		})
	}
	return c
}
