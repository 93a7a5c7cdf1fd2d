package migration

import (
	"fmt"
	"strings"
)

// Task queues. Work next to the data runs on the site's worker; the steps inside a freeze never
// wait behind a bulk copy.
const (
	QueueMain   = "drover"
	QueueFreeze = "drover-freeze"
	QueueSoak   = "drover-soak"  // of the main worker: one activity looks at hundreds of customers that soak
	QueueWatch  = "drover-watch" // of the main worker: a bake takes a slot for as long as it lasts, and thousands may bake
)

// The ends of the names of a site's queues.
const (
	freezes = "-freeze"
	copies  = "-copy"
)

// ownQueue begins the names of queues that have a worker of their own.
const ownQueue = "drover-own-"

// OwnQueue is a queue of one process that carries a workflow and all its activities by itself, so
// that no other worker needs to run.
func OwnQueue(id string) string { return ownQueue + id }

// IsOwnQueue says whether all work of a workflow on this queue is done by the worker of the queue.
func IsOwnQueue(queue string) bool { return strings.HasPrefix(queue, ownQueue) }

// SiteQueue is where work next to a site's data runs that no closed customer waits for: questions,
// audits, setups, passes over files.
func SiteQueue(site string) string { return "drover-site-" + site }

// SiteCopyQueue is where disks of a site's VMs are copied: hundreds may wait there for days, and
// nothing else behind them.
func SiteCopyQueue(site string) string { return SiteQueue(site) + copies }

// SiteFreezeQueue is where the short steps of Moves run next to a site's data.
func SiteFreezeQueue(site string) string { return SiteQueue(site) + freezes }

// WorkerOf is the command that starts a worker for a queue; "": the queue is none that a worker of
// its own polls.
func WorkerOf(queue string) string {
	switch queue {
	case QueueMain, QueueFreeze, QueueSoak, QueueWatch:
		return "drover worker"
	}
	site, is := strings.CutPrefix(queue, SiteQueue(""))
	if !is {
		return ""
	}
	for _, end := range []string{freezes, copies} {
		site = strings.TrimSuffix(site, end)
	}
	return "drover worker --main=false --site " + site
}

// Workflow ids: readable, and one at a time by construction.

// MigrationID is the id of a plan's Migration workflow.
func MigrationID(plan string) string { return "migration/" + plan }

// BatchID is the id of a Batch workflow.
func BatchID(plan, batch string) string { return "batch/" + plan + "/" + batch }

// CustomerID is the id of a Customer workflow.
func CustomerID(plan, customer string) string { return "customer/" + plan + "/" + customer }

// MoveID is the id of one try of a Move.
func MoveID(plan, customer string, token int64) string {
	return fmt.Sprintf("move/%s/%s/%d", plan, customer, token)
}

// WorkloadID is the id of a Workload workflow.
func WorkloadID(plan, workload string) string { return "workload/" + plan + "/" + workload }

// ReplicationID is the id of a Replication workflow.
func ReplicationID(plan, dataset string) string { return "replication/" + plan + "/" + dataset }

// DisksID is the id of a ReplicateVM workflow: by the VM's UUID, since names are free in vSphere,
// and two folders or sites can have one each.
func DisksID(plan, uuid string) string { return "disks/" + plan + "/" + uuid }

// CheckID is the id of a Check workflow.
func CheckID(plan, kind string) string { return "check/" + plan + "/" + kind }

// DoctorID is the id of a Doctor workflow.
func DoctorID(plan string) string { return "doctor/" + plan }

// PreviewID is the id of a Preview workflow.
func PreviewID(plan string) string { return "preview/" + plan }

// AmendmentID is the id of an Amendment workflow: of one content, so that people who look at two
// different ones do not disturb each other.
func AmendmentID(plan, digest string) string { return fmt.Sprintf("amendment/%s/%.12s", plan, digest) }

// ReadPlanID is the id of a ReadPlan workflow.
func ReadPlanID(plan string) string { return "plan/" + plan }

// ObservationID is the id of an Observation workflow.
func ObservationID(plan string) string { return "observation/" + plan }

// EvidenceID is the id of an Evidence workflow.
func EvidenceID(plan, batch string) string { return "evidence/" + plan + "/" + batch }

// OutboxID is the id of a plan's Outbox workflow.
func OutboxID(plan string) string { return "outbox/" + plan }

// Of is what a workflow is of, as its id says. What it does not say is empty.
type Of struct{ Plan, Customer, Token string }

// OfWorkflow reads the id of one of Drover's workflows. Of another's it says nothing.
func OfWorkflow(id string) Of {
	parts := strings.Split(id, "/")
	if len(parts) < 2 {
		return Of{}
	}
	switch parts[0] {
	case "customer":
		if len(parts) == 3 {
			return Of{Plan: parts[1], Customer: parts[2]}
		}
	case "move":
		if len(parts) == 4 {
			return Of{Plan: parts[1], Customer: parts[2], Token: parts[3]}
		}
	case "migration", "batch", "workload", "replication", "disks", "check", "doctor", "preview", "observation", "outbox":
		return Of{Plan: parts[1]}
	}
	return Of{}
}

// Search attributes. They bypass payload codecs: ids and closed sets of values only.
const (
	AttrPlan       = "DroverPlan"
	AttrBatch      = "DroverBatch"
	AttrCustomer   = "DroverCustomer"
	AttrPhase      = "DroverPhase"
	AttrHome       = "DroverHome"
	AttrWaitingFor = "DroverWaitingFor"
)

// What the memo of a Migration says. It is read without a worker, also when the migration has
// ended.
const (
	MemoDigest   = "digest"   // of the newest revision
	MemoRevision = "revision" // its number; 0: it is not accepted yet
)

// Names of updates and queries.
const (
	UpdateApprove  = "approve"  // Batch
	UpdatePause    = "pause"    // Migration
	UpdateResume   = "resume"   // Migration
	UpdateAbort    = "abort"    // Migration
	UpdateHold     = "hold"     // Customer
	UpdateRetry    = "retry"    // Customer, Batch
	UpdateRollback = "rollback" // Customer, Batch, Migration
	UpdateNote     = "note"     // Customer
	UpdateDefer    = "defer"    // Customer: ask that it does not move before a time
	UpdateDecide   = "decide"   // Customer: accept or refuse that
	UpdateOffer    = "offer"    // Customer: times of which it takes one
	UpdateTake     = "take"     // Customer: take one of them
	UpdateFinalise = "finalise" // Migration: the point of no return
	UpdateAmend    = "amend"    // Migration: a new revision of the plan
	UpdateSkip     = "skip"     // Customer: it stays on premises, and its batch is over without it
	UpdateAck      = "ack"      // Outbox: somebody looks after what a message asks for

	UpdateResolve    = "resolve"     // Migration: what was found of a writer may be as it is
	UpdateSchema     = "schema"      // Migration: DDL for both sides of a database
	UpdateAcceptLoss = "accept-loss" // Doctor: customers go on without a side
	UpdateCarryOver  = "carry-over"  // Doctor: rows of customers that one side alone has are brought home

	QueryStatus = "status" // Migration -> MigrationStatus, Batch -> BatchStatus (paged), Customer -> CustomerStatus,
	// Replication -> PieceStatus, Outbox -> MessagesStatus
	QuerySpec = "spec" // Migration -> SpecRef of the newest revision
)
