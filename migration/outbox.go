package migration

import "time"

// DeliveryState is where a message stands.
type DeliveryState string

// The states of a message. The last three are its end.
const (
	DeliveryDue       DeliveryState = "due"       // it waits for its time, or is being sent
	DeliveryTrying    DeliveryState = "trying"    // it has failed, and is tried again
	DeliveryDelivered DeliveryState = "delivered" // its receiver has acknowledged it
	DeliveryGivenUp   DeliveryState = "given-up"  // it is tried no more: Failure says why
)

// Delivery is a message, without its words, on its way to a contact or at its end.
type Delivery struct {
	Key      string        `json:"key,omitempty"` // as its receiver sees it; empty: of a digest
	Notice   string        `json:"notice,omitempty"`
	Kind     NoticeKind    `json:"kind"`
	Batch    string        `json:"batch,omitempty"`
	Customer string        `json:"customer,omitempty"`
	Contact  string        `json:"contact"`
	Step     int           `json:"step,omitempty"` // of the escalation; 0: at once
	State    DeliveryState `json:"state"`
	At       time.Time     `json:"at,omitzero"` // of its end
	Due      time.Time     `json:"due,omitzero"`
	Tries    int           `json:"tries,omitempty"`     // that have failed
	Failure  string        `json:"failure,omitempty"`   // why the last of them did
	FailedAt time.Time     `json:"failedAt,omitzero"`   // when it did
	Since    time.Time     `json:"failsSince,omitzero"` // when the first of them did
	Next     time.Time     `json:"next,omitzero"`       // when it is tried again
}

// Ask is something that waits for a person and that messages tell of.
type Ask struct {
	ID       string     `json:"id"` // of its notice: `drover ack PLAN ID`
	Kind     NoticeKind `json:"kind"`
	Batch    string     `json:"batch,omitempty"`
	Customer string     `json:"customer,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	At       time.Time  `json:"at,omitzero"`
	Taken    *Event     `json:"taken,omitempty"` // who looks after it; nil: nobody has said so
	Told     []string   `json:"told,omitempty"`  // contacts that have acknowledged a message of it
	Next     []string   `json:"next,omitempty"`  // who is told next, where nobody acknowledges it
	NextAt   time.Time  `json:"nextAt,omitzero"` // when
}

// MessagesStatus is what became of a plan's messages.
type MessagesStatus struct {
	Phase     OutboxPhase `json:"phase"`
	Asks      []Ask       `json:"asks,omitempty"`      // the oldest first
	Waiting   int         `json:"waiting"`             // messages that are not delivered, those that fail among them
	Fails     int         `json:"fails"`               // messages that fail and are tried again
	Pending   []Delivery  `json:"pending,omitempty"`   // not delivered, those that fail first; at most MostDeliveries
	Past      []Delivery  `json:"past,omitempty"`      // at their end, the oldest first; at most MostDeliveries
	Forgotten int         `json:"forgotten,omitempty"` // so many of the oldest at their end are not kept
}

// MostDeliveries is how many messages a status names of each kind.
const MostDeliveries = 100

// MessagesOf asks for the messages of a customer; without one, for those of the whole plan.
type MessagesOf struct {
	Customer string `json:"customer,omitempty"`
}
