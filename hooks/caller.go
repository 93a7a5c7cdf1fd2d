package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// Secrets resolves the secrets of webhooks.
type Secrets interface {
	Resolve(ctx context.Context, ref migration.SecretRef) (string, error)
}

// Caller calls hooks. It is safe for concurrent use.
type Caller struct {
	Secrets  Secrets
	Machines Machines // nil: documents are not run from here

	took taken
}

// Answer is what a call came back with.
type Answer struct {
	Hold string // why the customer is to be held; empty: go on
}

// longestReason is how much of a hold's reason is kept, in characters: it is shown to people.
const longestReason = 300

// Call calls once, for at most the hook's time-out, and says what the answer was. since is when the
// call was first wanted: a command that was sent before is not one of its repeats. Run twice,
// whoever is called hears the same key twice. Errors: permanent ones (internal/permanent), which
// trying again does not cure; all others may be tried again. None holds a secret, or more of an
// address than its host.
func (c *Caller) Call(ctx context.Context, spec *migration.Spec, h migration.Hook, call migration.HookCall,
	since time.Time) (a Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout.D())
	defer cancel()
	if h.SSM != nil {
		a, err = c.run(ctx, spec, *h.SSM, call, since)
	} else {
		var secret string
		if secret, err = c.secret(ctx, *h.Webhook); err == nil {
			a, err = post(ctx, h.Webhook.URL, secret, call)
		}
	}
	if err != nil {
		return Answer{}, failed(h.Event, err)
	}
	return a, nil
}

func failed(e migration.HookEvent, err error) error { return fmt.Errorf("hook %s: %w", e, err) }

// Prepared is a webhook that is about to be called inside a freeze.
type Prepared struct {
	migration.Hook
	caller *Caller
	secret string
}

// Prepare wants a webhook's secret to be there and its receiver to take connections. It posts
// nothing. Inside the freeze there is no time to find out.
func (c *Caller) Prepare(ctx context.Context, h migration.Hook) (p *Prepared, err error) {
	p = &Prepared{Hook: h, caller: c}
	if h.Webhook == nil {
		return nil, failed(h.Event, permanent.New("NoWebhook", nil, "inside a freeze only a webhook can be called"))
	}
	if p.secret, err = c.secret(ctx, *h.Webhook); err == nil {
		err = reach(ctx, h.Webhook.URL)
	}
	if err != nil {
		return nil, failed(h.Event, err)
	}
	return p, nil
}

// How long to wait before a call is made again inside a freeze.
const (
	pause     = 20 * time.Millisecond // before the second attempt; doubles
	pauseMost = 250 * time.Millisecond
)

// Call calls again and again, each attempt for at most the hook's time-out, until it is answered or
// ctx ends; once: one attempt is all. What trying again does not cure ends it. The time until an
// answer counts for Predicted.
func (p *Prepared) Call(ctx context.Context, call migration.HookCall, once bool) (Answer, error) {
	begun := time.Now()
	for wait := pause; ; wait = min(2*wait, pauseMost) {
		attempt, cancel := context.WithTimeout(ctx, p.Timeout.D())
		a, err := post(attempt, p.Webhook.URL, p.secret, call)
		cancel()
		switch {
		case err == nil:
			p.caller.took.add(call.Plan, p.Event, time.Since(begun))
			return a, nil
		case once || permanent.Kind(err) != "":
			return Answer{}, failed(p.Event, err)
		}
		select {
		case <-ctx.Done():
			return Answer{}, failed(p.Event, late(err, time.Since(begun)))
		case <-time.After(wait):
		}
	}
}

// late says that the time for a call is over, and what its last attempt met.
func late(last error, took time.Duration) error {
	if errors.Is(last, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within the %s that the freeze left for it", took.Round(time.Millisecond))
	}
	return fmt.Errorf("not within the %s that the freeze left for it: %w", took.Round(time.Millisecond), last)
}

// Predicted is how long the hooks take inside a freeze, together: what the plan says of each, or
// the median of its last calls from here, whichever is longer.
func (c *Caller) Predicted(plan string, hooks []migration.Hook) (all time.Duration) {
	for _, h := range hooks {
		all += max(h.Takes.D(), c.took.median(plan, h.Event))
	}
	return all
}

// envelope is what a webhook gets, as Standard Webhooks lays it out. docs/hook.schema.json says so
// to receivers.
type envelope struct {
	Type      string    `json:"type"`      // "drover." and the event
	Timestamp time.Time `json:"timestamp"` // of this attempt
	Data      data      `json:"data"`
}

type data struct {
	Key string `json:"key"` // the same in every repeat
	migration.HookCall
}

func body(call migration.HookCall, at time.Time) ([]byte, error) {
	return json.Marshal(envelope{Type: "drover." + string(call.Event), Timestamp: at.UTC(), Data: data{call.Key(), call}})
}

// said reads an answer. Text that is no JSON object holds nobody.
func said(answer []byte) (Answer, error) {
	var says map[string]any
	_ = json.Unmarshal(answer, &says) // what is no object says nothing
	if says["hold"] == nil {
		return Answer{}, nil
	}
	hold, ok := says["hold"].(string)
	if !ok {
		return Answer{}, errors.New(`the answer's "hold" is no text: it is to be the reason, or to be left out`)
	}
	reason := strings.TrimSpace(strings.Map(printable, hold))
	if reason == "" {
		return Answer{}, errors.New(`the answer's "hold" is empty: it is to be the reason, or to be left out`)
	}
	if r := []rune(reason); len(r) > longestReason {
		reason = string(r[:longestReason]) + "…"
	}
	return Answer{Hold: reason}, nil
}

// printable makes a line of what may be several.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}
