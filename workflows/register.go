package workflows

import "go.temporal.io/sdk/workflow"

// Register makes every workflow known to a worker. Tests use it too.
//
// Where workers carry a version, a workflow that is over soon stays with the version that started it: nobody changes a Move under way. The
// others live for weeks and go on with the newest.
func Register(r interface {
	RegisterWorkflowWithOptions(any, workflow.RegisterOptions)
}) {
	for _, w := range []any{Migration, Batch, Customer, Workload, Replication} {
		r.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{VersioningBehavior: workflow.VersioningBehaviorAutoUpgrade})
	}
	for _, w := range []any{Move, ReplicateVM, Check, Preflight, Doctor} {
		r.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{VersioningBehavior: workflow.VersioningBehaviorPinned})
	}
}
