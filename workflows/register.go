// Package workflows is the product's story: what a migration does, in which order, and what it does
// when something is in the way.
//
// One folder is one noun. They start one another from top to bottom, and nothing imports its way
// back up:
//
//	migration    a plan: looks, brings AWS up, releases the batches
//	  check        what stands in the way
//	  workload     machines and services on AWS, with the copies of their disks
//	  replication  data that follows its home
//	  batch        customers that go together
//	    customer     one customer, from submit to the end of its soak
//	      move         one try of moving it
//	  outbox       who is told of all that
//
// Below them is what they share: status (what people see and may ask), mail (signals), roll (who
// still runs), home (where a customer is homed, and its repair), work (kinds of activities).
//
// Every workflow is a struct with a setup that installs its handlers and a run that reads as the
// list of its phases. Everything that touches the world is an activity. The truth about a
// customer's home is in the data (package activities/postgres), never in a workflow: a workflow
// that is killed, terminated or reset changes nothing about it, and the next one reads it.
package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/workflows/batch"
	"github.com/drover-migration/drover/workflows/check"
	"github.com/drover-migration/drover/workflows/customer"
	"github.com/drover-migration/drover/workflows/evidence"
	"github.com/drover-migration/drover/workflows/migration"
	"github.com/drover-migration/drover/workflows/move"
	"github.com/drover-migration/drover/workflows/outbox"
	"github.com/drover-migration/drover/workflows/replication"
	"github.com/drover-migration/drover/workflows/workload"
)

// Register makes every workflow known to a worker. Tests use it too.
//
// Where workers carry a version, a workflow that is over soon stays with the version that started
// it: nobody changes a Move under way. The others live for weeks and go on with the newest.
func Register(r interface {
	RegisterWorkflowWithOptions(any, workflow.RegisterOptions)
}) {
	for _, w := range []any{migration.Migration, batch.Batch, customer.Customer, workload.Workload, replication.Replication,
		outbox.Outbox} {
		r.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{VersioningBehavior: workflow.VersioningBehaviorAutoUpgrade})
	}
	for _, w := range []any{move.Move, workload.ReplicateVM, check.Check, check.Preflight, check.Doctor, check.Preview, check.Amendment,
		check.ReadPlan, check.Observation, evidence.Evidence} {
		r.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{VersioningBehavior: workflow.VersioningBehaviorPinned})
	}
}
