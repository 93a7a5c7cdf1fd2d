package notify

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/notify"
)

// Activities are the Temporal activities of messages. Only SendMessages changes anything, with its
// receivers.
type Activities struct {
	specs  Specs
	sender Sender
}

// Specs reads compiled plans.
type Specs interface {
	Spec(ctx context.Context, ref migration.SpecRef) (*migration.Spec, error)
}

// Sender delivers one message, and says what its receiver calls it; *notify.Sender is one.
type Sender interface {
	Send(ctx context.Context, spec *migration.Spec, m migration.Message) (receipt string, err error)
}

// New builds the activities.
func New(specs Specs, sender Sender) *Activities { return &Activities{specs: specs, sender: sender} }

// PlanMessagesRequest asks whom notices are told.
type PlanMessagesRequest struct {
	Spec    migration.SpecRef  `json:"spec"`
	Notices []migration.Notice `json:"notices"`
	Heard   time.Time          `json:"heard"` // when the caller heard of them: quiet hours, digests and escalations count from it
}

// PlanMessagesResult has the messages of all notices, in their order and by step.
type PlanMessagesResult struct {
	Messages []Planned `json:"messages"`
}

// Planned is a message without its words.
type Planned struct {
	Notice  string    `json:"notice"` // id
	Key     string    `json:"key"`
	Contact string    `json:"contact"`
	Channel string    `json:"channel"`
	Address string    `json:"address,omitempty"`
	Step    int       `json:"step,omitempty"`
	Due     time.Time `json:"due"`
	Digest  bool      `json:"digest,omitempty"` // it goes together with others of its contact, address and Due
}

// PlanMessages says whom notices are told, by the plan's rules, and when. Read-only. A notice of a
// customer or a batch that the plan does not have is told nobody.
func (a *Activities) PlanMessages(ctx context.Context, req PlanMessagesRequest) (PlanMessagesResult, error) {
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return PlanMessagesResult{}, err
	}
	var out PlanMessagesResult
	for _, n := range req.Notices {
		n.At = req.Heard // words are made when they are sent
		all, err := engine.Compose(spec, n)
		if err != nil {
			activity.GetLogger(ctx).Warn("nobody is told", "notice", n.ID, "error", err)
			continue
		}
		for _, m := range all {
			out.Messages = append(out.Messages, Planned{Notice: n.ID, Key: m.Key, Contact: m.Contact, Channel: m.Channel,
				Address: m.Address, Step: m.Step, Due: m.Due, Digest: m.Digest})
		}
	}
	return out, nil
}

// Mark is a place among the notices that the clock brings, which are in the order of their time and
// id.
type Mark struct {
	At time.Time `json:"at"`
	ID string    `json:"id,omitempty"`
}

func (m Mark) before(n migration.Notice) bool {
	return m.At.Before(n.At) || m.At.Equal(n.At) && m.ID < n.ID
}

// ReadClockRequest asks what the clock has brought since the last time.
type ReadClockRequest struct {
	Spec  migration.SpecRef `json:"spec"`
	After Mark              `json:"after"`
	Until time.Time         `json:"until"`
	Most  int               `json:"most"`
}

// ReadClockResult has the notices that the clock has brought, at most as many as were asked for.
type ReadClockResult struct {
	Notices []migration.Notice `json:"notices,omitempty"`
	// Next is when the next one is due: now, where there are more. Zero: none ever is.
	Next time.Time `json:"next,omitzero"`
}

// ReadClock says which notices the clock has brought. Read-only.
func (a *Activities) ReadClock(ctx context.Context, req ReadClockRequest) (out ReadClockResult, err error) {
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return out, err
	}
	for _, n := range engine.Scheduled(spec) {
		if !req.After.before(n) {
			continue
		}
		if n.At.After(req.Until) || len(out.Notices) == req.Most {
			out.Next = n.At
			break
		}
		out.Notices = append(out.Notices, n)
	}
	return out, nil
}
