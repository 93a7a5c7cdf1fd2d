package mail

import (
	"time"

	"github.com/drover-migration/drover/migration"
)

// Signals between workflows. People use updates (package client), never these.
const (
	SignalGo      = "go"      // Batch -> Customer: cut over
	SignalBack    = "back"    // Batch -> Customer, Migration -> Batch: take back
	SignalAbort   = "abort"   // Migration -> Batch -> Customer: end at home
	SignalTurn    = "turn"    // Migration -> Batch: the batches before are through
	SignalDismiss = "dismiss" // Migration -> Batch -> Customer: end, if you were never told to go
	SignalReport  = "report"  // Customer -> Batch
	SignalBatch   = "batch"   // Batch -> Migration
	SignalPiece   = "piece"   // Workload, Replication -> Migration
	SignalWord    = "word"    // Migration -> Batch: what holds; sent again with every roll call
	SignalPause   = "pause"   // Batch -> Migration: an operator canceled it
	SignalAsk     = "ask"     // Migration -> Batch, Workload, Replication; Batch -> Customer: are you there, and this is what holds
	SignalAside   = "aside"   // Batch -> Replication: who moves
	SignalStop    = "stop"    // Migration -> Replication
	SignalTrouble = "trouble" // Replication -> Customer: its fences are not as they must be
	SignalNews    = "news"    // Migration, Batch -> Outbox: what somebody may have to be told of
	SignalSeen    = "seen"    // Batch -> Customer: what a look at those that soak has found
)

// ByDrover is who takes a batch back when no operator asked.
const ByDrover = "drover"

// Wish is what somebody wants of a workflow, with who and why.
type Wish struct {
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Slots are how many customers of a batch may be on their way back at a time, where other
	// batches go back too; 0: as many as the plan says.
	Slots int `json:"slots,omitempty"`
}

func (w Wish) String() string {
	if w.Reason == "" {
		return w.By
	}
	return w.By + ": " + w.Reason
}

// Belongs says to which batch a customer belongs, by which revision of the plan, where that is not
// the plan's first.
type Belongs struct {
	migration.Revision
	Batch string `json:"batch,omitempty"`
}

// Go tells a customer to cut over. It always names the batch that says so: that of another batch
// than the customer's own does not count.
type Go struct {
	Belongs
	Round int `json:"round"` // of the batch; it comes back with every report
}

// Back takes a customer back.
type Back struct {
	Wish
	Round int `json:"round"` // of the batch that wants it; signals sent together may arrive in any order
}

// CustomerReport is a Customer's news for its Batch.
type CustomerReport struct {
	Order  Order                    `json:"order"`
	Status migration.CustomerStatus `json:"status"` // without timeline
	Round  int                      `json:"round"`  // of the batch, that the customer has heard of
	Soak   *SoakNotes               `json:"soak,omitempty"`
}

// SoakNotes are what a customer that soaks has its batch note beside its fence, with those of
// others.
type SoakNotes struct {
	Begun migration.Note `json:"begun"` // that it soaks
	Over  migration.Note `json:"over"`  // that it has finished; a later note of the customer's own comes after it
}

// BatchReport is a Batch's news for its Migration.
type BatchReport struct {
	Order     Order                 `json:"order"`
	Status    migration.BatchStatus `json:"status"`    // without customers
	Incidents int                   `json:"incidents"` // customers rolled back or held, ever
	Closed    bool                  `json:"closed,omitempty"`
}

// PieceReport is the news of a workload or a dataset.
type PieceReport struct {
	Order Order                 `json:"order"`
	Piece migration.PieceStatus `json:"piece"`
	Stop  bool                  `json:"stop,omitempty"` // no further customer may move: Piece.Detail says why
}

// Aside names those of a batch's customers whose data is a Move's, and no pass may touch. Everybody
// else's may be copied, away from their home. A pass that has not heard it yet is no danger (its
// late writes are conditional), only slow.
type Aside struct {
	Order     Order    `json:"order"`
	Batch     string   `json:"batch"`
	Customers []string `json:"customers"`
}

// Pause stops and starts the admission of customers, as SignalWord or SignalPause.
type Pause struct {
	migration.Revision        // that holds, where the plan was amended
	Order              Order  `json:"order"`
	Paused             bool   `json:"paused"`
	Reason             string `json:"reason,omitempty"`
	// Outbox is when the plan's outbox was started, in milliseconds since 1970; 0: there is none.
	// One that was started later than the last has to be told again what waits for somebody.
	Outbox    int64     `json:"outbox,omitempty"`
	Observing Observing `json:"observing,omitzero"`
}

// Observing says to the batch that requires it what is missing until who writes the databases has
// been observed.
type Observing struct {
	Words string `json:"words,omitempty"` // "": nothing
	// Person says that it is somebody's turn: to resolve a finding, or to mend what keeps writers
	// from being observed.
	Person bool `json:"person,omitempty"`
	Over   bool `json:"over,omitempty"` // nothing else is waited for: somebody is called
}

// Trouble is what an audit of both sides found of a customer.
type Trouble struct {
	Words string `json:"words"`
	// Alone says that the customer goes on without a side: it may be at home elsewhere than it
	// knows.
	Alone bool `json:"alone,omitempty"`
}

// Seen is what a look has found of a customer that soaks. A customer hears only what is news to it.
type Seen struct {
	Until     time.Time          `json:"until"`               // the end of the soak that was looked at, as the customer had reported it
	Elsewhere bool               `json:"elsewhere,omitempty"` // its data says that it is not homed on AWS
	Unwell    *migration.Verdict `json:"unwell,omitempty"`    // it goes home for it
	Over      bool               `json:"over,omitempty"`      // its soak has ended, and all was well
	Noted     bool               `json:"noted,omitempty"`     // its data says so: SoakNotes.Over stands
	Trouble   string             `json:"trouble,omitempty"`   // what somebody has to look at; the soak goes on
}

// Turn releases a batch.
type Turn struct{}

// Ask is a roll call: that it is delivered says that the workflow runs. It says what holds, where
// the plan was amended.
type Ask struct {
	Belongs
	Report bool `json:"report,omitempty"` // and say where you stand: the sender knows nothing
}
