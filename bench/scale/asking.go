package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	temporalclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

// asker asks for the plan's status as the command line does, a page each second, and keeps how long
// each took.
type asker struct {
	interceptor.ClientInterceptorBase
	interceptor.ClientOutboundInterceptorBase

	mu    sync.Mutex
	pages []time.Duration
	whole []time.Duration // a status of everything
	lost  []string        // pages that did not come
}

const (
	pageEvery  = time.Second
	wholeEvery = time.Minute
)

// InterceptClient has every query of the client timed.
func (a *asker) InterceptClient(next interceptor.ClientOutboundInterceptor) interceptor.ClientOutboundInterceptor {
	a.Next = next
	return a
}

// QueryWorkflow is a page.
func (a *asker) QueryWorkflow(ctx context.Context, in *interceptor.ClientQueryWorkflowInput) (converter.EncodedValue, error) {
	begun := time.Now()
	v, err := a.Next.QueryWorkflow(ctx, in)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pages = append(a.pages, time.Since(begun))
	return v, err
}

// ask asks until ctx ends: the migration and one batch after the other, and now and then all of it.
func (a *asker) ask(ctx context.Context, c *client.Client) {
	names := []string{""}
	for n, last := 0, time.Now(); pause(ctx, pageEvery) == nil; n++ {
		name := names[n%len(names)]
		var err error
		switch {
		case time.Since(last) > wholeEvery:
			last = time.Now()
			if _, err = c.Status(ctx, planName); err == nil {
				a.mu.Lock()
				a.whole = append(a.whole, time.Since(last))
				a.mu.Unlock()
			}
		case name == "":
			var s migration.MigrationStatus
			if s, err = c.Migration(ctx, planName); err == nil && len(s.Batches) > 0 {
				names = names[:1]
				for _, b := range s.Batches {
					names = append(names, b.Name)
				}
			}
		default:
			_, err = c.Batch(ctx, planName, name)
		}
		if err != nil && ctx.Err() == nil {
			a.mu.Lock()
			a.lost = append(a.lost, err.Error())
			a.mu.Unlock()
		}
	}
}

// at is a percentile in milliseconds, by the nearest rank.
func at(all []time.Duration, p int) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return float64(sorted[(len(sorted)*p+99)/100-1].Microseconds()) / 1000
}

// dial connects as the command line does.
func (a *asker) dial(ctx context.Context, address string) (temporalclient.Client, error) {
	c, err := temporalclient.DialContext(ctx, temporalclient.Options{
		HostPort: address, Logger: quiet(), DataConverter: payloads(), Interceptors: []interceptor.ClientInterceptor{a},
	})
	if err != nil {
		return nil, fmt.Errorf("reach Temporal: %w", err)
	}
	return c, nil
}
