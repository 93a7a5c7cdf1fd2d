package worker

import (
	"fmt"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/migration"
)

// identities refuse a command that is not proved to come from the one who is named in it. They look
// when a command comes, before it is accepted, and never in a replay: which keys a worker has says
// nothing about what happened before. The keys are this worker's own. What a plan, a workflow's
// input or a command says of keys counts for nothing.
type identities struct {
	interceptor.WorkerInterceptorBase
	keys *identity.Keys
}

func (i *identities) InterceptWorkflow(_ workflow.Context,
	next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	v := &verifying{keys: i.keys}
	v.Next = next
	return v
}

type verifying struct {
	interceptor.WorkflowInboundInterceptorBase
	keys *identity.Keys
}

// ValidateUpdate implements interceptor.WorkflowInboundInterceptor.
func (v *verifying) ValidateUpdate(ctx workflow.Context, in *interceptor.UpdateInput) error {
	if len(in.Args) != 1 {
		return fmt.Errorf("%s takes one command", in.Name)
	}
	cmd, ok := in.Args[0].(migration.Command)
	if !ok {
		return fmt.Errorf("%s takes a command", in.Name)
	}
	info := workflow.GetInfo(ctx)
	said := identity.Said{Namespace: info.Namespace, Workflow: info.WorkflowExecution.ID, Update: in.Name, Command: cmd}
	if _, err := v.keys.Check(said, workflow.Now(ctx)); err != nil {
		return fmt.Errorf("it is not proved that %s gave this command: %w", cmd.By, err)
	}
	return v.Next.ValidateUpdate(ctx, in)
}
