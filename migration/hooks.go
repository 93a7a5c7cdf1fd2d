package migration

import (
	"fmt"
	"slices"
	"time"
)

// HookEvent is a point of a migration at which the plan may have something of its own called. The
// set is closed: plans name its members.
type HookEvent string

// The events, in the order in which they come. The first three come before the commit point, and
// what is called there may hold the customer where it is; the others tell of what has happened.
const (
	HookBeforeFence HookEvent = "beforeFence" // a try of a Move begins, and nothing is touched yet
	HookBeforeSeal  HookEvent = "beforeSeal"  // in the freeze: nobody writes, and all is at the destination
	HookBeforeOpen  HookEvent = "beforeOpen"  // the last thing before the commit point; with a database in the freeze
	HookAfterOpen   HookEvent = "afterOpen"   // homed at the destination
	HookAfterRoute  HookEvent = "afterRoute"  // all requests go there
	HookOnRollback  HookEvent = "onRollback"  // homed and routed on premises again
	HookAfterLaunch HookEvent = "afterLaunch" // of a workload: it runs on AWS and is healthy; nobody is served there yet
)

// HookEvents are all events.
var HookEvents = []HookEvent{HookBeforeFence, HookBeforeSeal, HookBeforeOpen, HookAfterOpen, HookAfterRoute, HookOnRollback,
	HookAfterLaunch}

// Frozen says whether it comes inside the freeze of a customer that has a database.
func (e HookEvent) Frozen() bool { return e == HookBeforeSeal || e == HookBeforeOpen }

// Hook is what a plan has called at an event. Exactly one of its kinds is set.
type Hook struct {
	Event   HookEvent       `json:"event"`
	Webhook *WebhookChannel `json:"webhook,omitempty"`
	SSM     *SSMDocument    `json:"ssm,omitempty"`
	Timeout Duration        `json:"timeout"`           // of one attempt
	Takes   Duration        `json:"takes,omitempty"`   // as the plan predicts it, inside the freeze
	WayBack WayBack         `json:"wayBack,omitempty"` // before the commit point
}

// SSMDocument is run on instances of workloads by Systems Manager.
type SSMDocument struct {
	Document   string              `json:"document"` // name, or ARN of a shared one
	Parameters map[string][]string `json:"parameters,omitempty"`
	Workloads  []string            `json:"workloads,omitempty"` // empty: all of the customer's that run on EC2
}

// WayBack says what a hook before the commit point means for a customer that goes home.
type WayBack string

// What it can mean.
const (
	WayBackCall  WayBack = "call"  // it is called once, and keeps nobody from going home
	WayBackMust  WayBack = "must"  // as on the way out
	WayBackNever WayBack = "never" // it is not called
)

// HookAt finds the hook of an event; nil: there is none.
func HookAt(hooks []Hook, e HookEvent) *Hook {
	i := slices.IndexFunc(hooks, func(h Hook) bool { return h.Event == e })
	if i < 0 {
		return nil
	}
	return &hooks[i]
}

// HookBefore finds the hook of an event that comes before the commit point of a Move to a side;
// nil: nothing is called. must says that its failure, or its hold, ends the try.
func HookBefore(hooks []Hook, e HookEvent, to Side) (h *Hook, must bool) {
	h = HookAt(hooks, e)
	if h == nil || to == OnPrem && h.WayBack == WayBackNever {
		return nil, false
	}
	return h, to == AWS || h.WayBack == WayBackMust
}

// FrozenHooks are those that are called inside the freeze of a Move to a side, in their order.
func FrozenHooks(hooks []Hook, to Side) (out []Hook) {
	for _, e := range HookEvents {
		if h, _ := HookBefore(hooks, e, to); h != nil && e.Frozen() {
			out = append(out, *h)
		}
	}
	return out
}

// Concerns says whether the hook is called when a workload has been launched.
func (h Hook) Concerns(w Workload) bool {
	return h.SSM == nil || w.EC2 != nil && (len(h.SSM.Workloads) == 0 || slices.Contains(h.SSM.Workloads, w.Name))
}

// HookCall is what is told to whatever is called. It holds no name of a customer, and no secret.
type HookCall struct {
	Event    HookEvent `json:"event"`
	Plan     string    `json:"plan"`
	Revision int       `json:"revision"`
	Batch    string    `json:"batch,omitempty"`
	Customer string    `json:"customer,omitempty"` // id
	Token    int64     `json:"token,omitempty"`    // of the try; it never goes back
	From     Side      `json:"from,omitempty"`
	To       Side      `json:"to,omitempty"`
	Workload string    `json:"workload,omitempty"` // of afterLaunch
	Launch   string    `json:"launch,omitempty"`   // of afterLaunch: the same for the same machines
	// Deadline is when the origin's fence runs out by itself, inside a freeze.
	Deadline time.Time `json:"deadline,omitzero"`
}

// Key is the same in every repeat of a call, and no other call has it.
func (c HookCall) Key() string {
	if c.Workload != "" {
		return fmt.Sprintf("%s/workloads/%s/%s/%s", c.Plan, c.Workload, c.Launch, c.Event)
	}
	return fmt.Sprintf("%s/%s/%d/%s", c.Plan, c.Customer, c.Token, c.Event)
}

// Hook finds the hook of an event; nil: the plan has none.
func (s *Spec) Hook(e HookEvent) *Hook { return HookAt(s.Hooks, e) }
