package workflows

import "github.com/drover-migration/drover/migration"

// Signals between workflows. People use updates (package client), never these.
const (
	signalGo      = "go"      // Batch -> Customer: cut over
	signalBack    = "back"    // Batch -> Customer, Migration -> Batch: take back
	signalAbort   = "abort"   // Migration -> Batch -> Customer: end at home
	signalDismiss = "dismiss" // Migration -> Customer: end, if you were never told to go
	signalReport  = "report"  // Customer -> Batch
	signalBatch   = "batch"   // Batch -> Migration
	signalPiece   = "piece"   // Workload, Replication -> Migration
	signalPause   = "pause"   // Migration -> Batch; Batch -> Migration when an operator canceled it
	signalAsk     = "ask"     // Migration -> Batch, Workload, Replication; Batch -> Customer: are you there
	signalYield   = "yield"   // Customer -> Replication: step aside
	signalYielded = "yielded" // Replication -> Customer: stepped aside
	signalRelease = "release" // Customer -> Replication: the Move is over
	signalStop    = "stop"    // Migration -> Replication
	signalTrouble = "trouble" // Replication -> Customer: its fences are not as they must be
)

// wish is what somebody wants of a workflow, with who and why.
type wish struct {
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// backSignal takes a customer back.
type backSignal struct {
	wish
	Round int `json:"round"` // of the batch that wants it; signals sent together may arrive in any order
}

// byDrover is who takes a batch back when no operator asked.
const byDrover = "drover"

// goSignal tells a customer to cut over.
type goSignal struct {
	Round int `json:"round"` // of the batch; it comes back with every report
}

// customerReport is a Customer's news for its Batch.
type customerReport struct {
	Order    order                    `json:"order"`
	Status   migration.CustomerStatus `json:"status"`             // without timeline
	Round    int                      `json:"round"`              // of the batch, that the customer has heard of
	ByHealth bool                     `json:"byHealth,omitempty"` // it goes back because of its own verdict
	Unasked  bool                     `json:"unasked,omitempty"`  // it goes back without an operator's asking: by its verdict, or with its batch
}

// batchReport is a Batch's news for its Migration.
type batchReport struct {
	Order     order                 `json:"order"`
	Status    migration.BatchStatus `json:"status"`    // without customers
	Incidents int                   `json:"incidents"` // customers rolled back or held, ever
	Closed    bool                  `json:"closed,omitempty"`
}

// pieceReport is the news of a workload or a dataset.
type pieceReport struct {
	Order order                 `json:"order"`
	Piece migration.PieceStatus `json:"piece"`
	Stop  bool                  `json:"stop,omitempty"` // no further customer may move: Piece.Detail says why
}

// order says which of two reports of one sender is the newer: signals sent together may arrive in any order.
type order struct {
	At int64 `json:"at"` // by the sender's clock, nanoseconds since 1970: a sender that was started again, or reset, counts anew
	N  int   `json:"n"`  // of the sender's reports, ever
}

// newer says whether o comes after p.
func (o order) newer(p order) bool { return o.At > p.At || o.At == p.At && o.N > p.N }

// yieldRequest asks a Replication to leave one customer's data alone.
type yieldRequest struct {
	Customer string `json:"customer"`
	ReplyTo  string `json:"replyTo"` // workflow id
}

// yieldReply says that no pass touches the customer's data now.
type yieldReply struct {
	Dataset  string `json:"dataset"`
	Customer string `json:"customer"`
}

// release gives a customer's data back to the passes, which go away from its home.
type release struct {
	Customer string         `json:"customer"`
	Home     migration.Side `json:"home"`
	Token    int64          `json:"token"`
}

// pauseSignal stops and starts the admission of customers. It is sent again with every roll call.
type pauseSignal struct {
	Order  order  `json:"order"`
	Paused bool   `json:"paused"`
	Reason string `json:"reason,omitempty"`
}

// trouble is what an audit of both sides found of a customer.
type trouble struct {
	Words string `json:"words"`
}

// ask is a roll call: that it is delivered says that the workflow runs.
type ask struct {
	Report bool `json:"report,omitempty"` // and say where you stand: the sender knows nothing
}
