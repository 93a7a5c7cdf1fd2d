package workflows

// Register makes every workflow known to a worker. Tests use it too.
func Register(r interface{ RegisterWorkflow(any) }) {
	r.RegisterWorkflow(Migration)
	r.RegisterWorkflow(Batch)
	r.RegisterWorkflow(Customer)
	r.RegisterWorkflow(Move)
	r.RegisterWorkflow(Workload)
	r.RegisterWorkflow(Replication)
	r.RegisterWorkflow(ReplicateVM)
	r.RegisterWorkflow(Check)
	r.RegisterWorkflow(Preflight)
}
