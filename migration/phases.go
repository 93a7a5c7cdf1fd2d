package migration

// Phases say where a workflow stands. Every workflow has a type of its own, whose set is closed:
// the search attribute takes its string.

// MigrationPhase says where a migration stands.
type MigrationPhase string

// Phases of a migration, in order; the last three end it early.
const (
	MigrationAccepted     MigrationPhase = "accepted"
	MigrationPreflight    MigrationPhase = "preflight"
	MigrationProvisioning MigrationPhase = "provisioning" // workloads, schemas, subscriptions, first passes
	MigrationReleasing    MigrationPhase = "releasing"    // batches, one after the other
	MigrationSoak         MigrationPhase = "soak"         // every batch is through; nothing is finalised yet
	MigrationFinalising   MigrationPhase = "finalising"   // somebody has ended the way back
	MigrationDone         MigrationPhase = "done"
	MigrationFailed       MigrationPhase = "failed"
	MigrationAborting     MigrationPhase = "aborting"
	MigrationAborted      MigrationPhase = "aborted"
)

// BatchPhase says where a batch stands.
type BatchPhase string

// Phases of a batch.
const (
	BatchWaiting     BatchPhase = "waiting" // for its turn
	BatchGate        BatchPhase = "gate"    // waits for its window, approvals, lag or a resume
	BatchCuttingOver BatchPhase = "cutting-over"
	BatchDone        BatchPhase = "done"
	BatchTakingBack  BatchPhase = "taking-back" // rollback: batch
	BatchTakenBack   BatchPhase = "taken-back"  // over, and all its customers are home again; retry starts it anew
	BatchAborting    BatchPhase = "aborting"
	BatchAborted     BatchPhase = "aborted"
)

// CustomerPhase says where a customer stands.
type CustomerPhase string

// Phases of a customer.
const (
	CustomerFinding    CustomerPhase = "finding-home" // its data is asked where it is homed, and repaired
	CustomerWaiting    CustomerPhase = "waiting"      // for its batch
	CustomerMoving     CustomerPhase = "moving"
	CustomerBaking     CustomerPhase = "baking"
	CustomerSoaking    CustomerPhase = "soaking"
	CustomerMovingBack CustomerPhase = "moving-back"
	CustomerRolledBack CustomerPhase = "rolled-back" // homed at its origin again
	CustomerHeld       CustomerPhase = "held"        // waits for a human; it is open on one side
	CustomerFinished   CustomerPhase = "finished"
	CustomerAborted    CustomerPhase = "aborted"
	CustomerSkipped    CustomerPhase = "skipped" // stays on premises, by a person's word
)

// Cause says why a customer goes back, or rests.
type Cause string

// Causes. Empty: Drover could not go on by itself.
const (
	ByVerdict  Cause = "verdict"  // its own health
	ByRoute    Cause = "route"    // its route could not be set
	ByBatch    Cause = "batch"    // another customer's verdict takes the batch back
	ByOrder    Cause = "order"    // an operator took the batch or the migration back
	ByHand     Cause = "hand"     // an operator named this customer
	ByDeferral Cause = "deferral" // a lead has accepted that it does not move before a time
	ByAudit    Cause = "audit"    // its fences were not as they must be
)

// Stays says whether only a retry that names the customer lets it go: a retry of its batch does
// not.
func (c Cause) Stays() bool { return c == ByHand || c == ByAudit || c == ByDeferral }

// Unasked says whether no operator asked for it.
func (c Cause) Unasked() bool { return c == ByVerdict || c == ByRoute || c == ByBatch }

// MoveStep says where a Move stands.
type MoveStep string

// Steps of a Move, in order (design, section 6).
const (
	StepChecking  MoveStep = "checking"
	StepFencing   MoveStep = "fencing"
	StepDraining  MoveStep = "draining" // and verifying
	StepCalling   MoveStep = "calling"  // the plan's hooks inside the freeze, where it has any
	StepSealing   MoveStep = "sealing"
	StepOpening   MoveStep = "opening"
	StepRouting   MoveStep = "routing"
	StepResolving MoveStep = "resolving" // an unknown outcome, by writing
	StepDone      MoveStep = "done"
	StepFailed    MoveStep = "failed"
)

// PiecePhase says where a workload or a dataset stands.
type PiecePhase string

// Phases of workloads and datasets.
const (
	PieceWaiting      PiecePhase = "waiting"
	PieceProvisioning PiecePhase = "provisioning"
	PieceReplicating  PiecePhase = "replicating"
	PieceLaunching    PiecePhase = "launching"
	PieceReady        PiecePhase = "ready"
	PieceDone         PiecePhase = "done"
	PieceFailed       PiecePhase = "failed"
)

// OutboxPhase says where the messages of a plan stand.
type OutboxPhase string

// Phases of an outbox.
const (
	OutboxOpen   OutboxPhase = "open"   // it takes what happens
	OutboxEnding OutboxPhase = "ending" // its migration has ended, and messages are still on their way
	OutboxDone   OutboxPhase = "done"
	// OutboxUnread is what a client says of messages that cannot be read now.
	OutboxUnread OutboxPhase = "unread"
)
