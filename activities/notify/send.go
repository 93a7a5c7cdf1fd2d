package notify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"go.temporal.io/sdk/activity"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/internal/measure"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/notify"
)

const (
	atOnce = 4 // letters of one call that are sent at the same time
	// longestFailure is how much of an error is kept, in bytes: receivers answer with whole pages.
	longestFailure = 400
)

// SendMessagesRequest asks to deliver letters.
type SendMessagesRequest struct {
	Spec    migration.SpecRef `json:"spec"`
	Letters []Letter          `json:"letters"`
}

// Letter is one message: of one part, or a digest of several.
type Letter struct {
	Contact string    `json:"contact"`
	Due     time.Time `json:"due"` // a digest's key depends on it
	Parts   []Part    `json:"parts"`
}

// Part is a notice as its contact is told of it.
type Part struct {
	Notice migration.Notice `json:"notice"`
	Step   int              `json:"step,omitempty"`
}

// SendMessagesResult has an answer to each letter, in their order.
type SendMessagesResult struct {
	Answers []Answer `json:"answers"`
}

// Answer is what became of a letter: its receiver has acknowledged it where Failure is empty.
type Answer struct {
	Key     string `json:"key,omitempty"`
	Receipt string `json:"receipt,omitempty"` // what the receiver calls it
	Failure string `json:"failure,omitempty"`
	Final   bool   `json:"final,omitempty"` // trying again does not help
}

// SendMessages delivers letters, each of them once, and says of each what became of it. One that
// its receiver has not acknowledged may have arrived all the same: whoever sends it again asks with
// the same notice, contact, step and Due, and it has the same key. An attempt that was cut off
// sends no letter again of which it had said by then that it was acknowledged. Its own errors are
// those of the plan, not of receivers.
func (a *Activities) SendMessages(ctx context.Context, req SendMessagesRequest) (SendMessagesResult, error) {
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return SendMessagesResult{}, err
	}
	var before map[int]Answer // of an attempt that was cut off, by the letter's place
	if activity.HasHeartbeatDetails(ctx) {
		_ = activity.GetHeartbeatDetails(ctx, &before) // what cannot be read is sent again, under its key
	}
	say, stop := heartbeat.Saying[map[int]Answer](ctx)
	defer stop()
	out := SendMessagesResult{Answers: make([]Answer, len(req.Letters))}
	done := map[int]Answer{}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i, l := range req.Letters {
		if answer, known := before[i]; known {
			mu.Lock()
			out.Answers[i], done[i] = answer, answer
			mu.Unlock()
			continue
		}
		g.Go(func() error {
			answer := a.send(ctx, spec, l)
			mu.Lock()
			defer mu.Unlock()
			if out.Answers[i] = answer; answer.Failure == "" {
				done[i] = answer
				say(maps.Clone(done))
			}
			return nil
		})
	}
	_ = g.Wait() // each says in its answer what went wrong
	return out, ctx.Err()
}

// send delivers one letter.
func (a *Activities) send(ctx context.Context, spec *migration.Spec, l Letter) Answer {
	m, err := compose(spec, l)
	if err != nil {
		return Answer{Failure: brief(err), Final: permanent.Kind(err) != ""}
	}
	receipt, err := a.sender.Send(ctx, spec, m)
	answer, result := Answer{Key: m.Key, Receipt: receipt}, migration.MessageDelivered
	if err != nil {
		answer, result = Answer{Key: m.Key, Failure: brief(err)}, migration.MessageFailed
		if answer.Final = permanent.Kind(err) != ""; answer.Final {
			result = migration.MessageRefused
		}
	}
	count(ctx, m, result)
	return answer
}

// count counts a try by its result. The other results are there from then on, as 0: the first of
// them is an increase.
func count(ctx context.Context, m migration.Message, result string) {
	for _, r := range []string{migration.MessageDelivered, migration.MessageFailed, migration.MessageRefused} {
		n := int64(0)
		if r == result {
			n = 1
		}
		measure.In(ctx, map[string]string{"plan": m.Plan, "channel": m.Channel, "result": r}).Counter(migration.MetricMessages).Inc(n)
	}
}

// compose puts a letter into words.
func compose(spec *migration.Spec, l Letter) (migration.Message, error) {
	if spec.Notify == nil || len(l.Parts) == 0 {
		return migration.Message{}, permanent.New("NotTold", nil, "the plan sends no messages any more")
	}
	var parts []migration.Message
	for _, p := range l.Parts {
		all, err := engine.Compose(spec, p.Notice)
		if err != nil {
			return migration.Message{}, permanent.New("NotTold", err, "put notice %s into words", p.Notice.ID)
		}
		i := slices.IndexFunc(all, func(m migration.Message) bool { return m.Contact == l.Contact && m.Step == p.Step })
		if i < 0 {
			return migration.Message{}, permanent.New("NotTold", nil, "the plan does not tell contact %q of notice %s any more",
				l.Contact, p.Notice.ID)
		}
		all[i].Due = l.Due
		parts = append(parts, all[i])
	}
	return engine.Digest(parts), nil
}

// brief is an error for people, no longer than is kept.
func brief(err error) string {
	text := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		text = fmt.Sprintf("no answer in time: %s", text)
	}
	if len(text) <= longestFailure {
		return text
	}
	n := longestFailure
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}
