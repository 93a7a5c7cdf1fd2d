package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/workflows/replication"
)

// warmLimit is how long a worker that starts may spend on its databases before it takes work.
const warmLimit = 10 * time.Second

// warmer connects what a worker will need before it takes work: one that starts while a customer is
// closed has no time to look up addresses and secrets.
type warmer struct {
	temporal  workflowservice.WorkflowServiceClient
	namespace string
	payloads  converter.DataConverter
	specs     interface {
		Spec(ctx context.Context, ref migration.SpecRef) (*migration.Spec, error)
	}
	pairs interface {
		Open(ctx context.Context, plan string, d migration.Dataset, target migration.Target) (*engine.Pair, error)
	}
	log hclog.Logger
}

// warm connects the databases of the sites in every plan that is replicating now. What cannot be
// connected in time is said, and connected when work comes for it.
func (w *warmer) warm(ctx context.Context, sites []string) {
	ctx, cancel := context.WithTimeout(ctx, warmLimit)
	defer cancel()
	running, err := w.replicating(ctx)
	if err != nil {
		w.log.Warn("databases are not connected ahead of work: the running plans cannot be listed", "why", err)
		return
	}
	var all sync.WaitGroup
	for _, in := range running {
		all.Go(func() {
			if err := w.connect(ctx, in, sites); err != nil {
				w.log.Warn("a database is not connected ahead of work", "plan", in.Spec.Plan, "dataset", in.Dataset, "why", err)
			}
		})
	}
	all.Wait()
}

func (w *warmer) connect(ctx context.Context, in replication.Input, sites []string) error {
	spec, err := w.specs.Spec(ctx, in.Spec)
	if err != nil {
		return err
	}
	d, ok := spec.Dataset(in.Dataset)
	if !ok || d.Postgres == nil || !slices.Contains(sites, d.Site()) {
		return nil
	}
	target, _ := spec.Target(d.Target())
	_, err = w.pairs.Open(ctx, spec.Plan, d, target)
	return err
}

// replicating are the inputs of the Replications that run.
func (w *warmer) replicating(ctx context.Context) (out []replication.Input, err error) {
	list := &workflowservice.ListWorkflowExecutionsRequest{Namespace: w.namespace,
		Query: "WorkflowType = 'Replication' AND ExecutionStatus = 'Running'"}
	for {
		page, err := w.temporal.ListWorkflowExecutions(ctx, list)
		if err != nil {
			return nil, err
		}
		for _, x := range page.GetExecutions() {
			in, err := w.input(ctx, x.GetExecution())
			if err != nil {
				return nil, fmt.Errorf("read what %s was started with: %w", x.GetExecution().GetWorkflowId(), err)
			}
			out = append(out, in)
		}
		if list.NextPageToken = page.GetNextPageToken(); len(list.NextPageToken) == 0 {
			return out, nil
		}
	}
}

// input reads what a Replication was started with: the first event of its history says so.
func (w *warmer) input(ctx context.Context, run *common.WorkflowExecution) (in replication.Input, err error) {
	h, err := w.temporal.GetWorkflowExecutionHistory(ctx,
		&workflowservice.GetWorkflowExecutionHistoryRequest{Namespace: w.namespace, Execution: run, MaximumPageSize: 1})
	if err != nil {
		return in, err
	}
	events := h.GetHistory().GetEvents()
	if len(events) == 0 {
		return in, errors.New("it has no history")
	}
	return in, w.payloads.FromPayloads(events[0].GetWorkflowExecutionStartedEventAttributes().GetInput(), &in)
}
