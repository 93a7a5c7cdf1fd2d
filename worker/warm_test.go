package worker

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"

	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/workflows/replication"
)

// running is a Temporal in which the Replications of a plan run, a page each.
type running struct {
	workflowservice.WorkflowServiceClient
	datasets []string
}

func (r running) ListWorkflowExecutions(_ context.Context, req *workflowservice.ListWorkflowExecutionsRequest,
	_ ...grpc.CallOption) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	at := len(req.GetNextPageToken())
	page := &workflowservice.ListWorkflowExecutionsResponse{Executions: []*workflow.WorkflowExecutionInfo{
		{Execution: &common.WorkflowExecution{WorkflowId: r.datasets[at]}}}}
	if at+1 < len(r.datasets) {
		page.NextPageToken = bytes.Repeat([]byte{1}, at+1)
	}
	return page, nil
}

func (r running) GetWorkflowExecutionHistory(_ context.Context, req *workflowservice.GetWorkflowExecutionHistoryRequest,
	_ ...grpc.CallOption) (*workflowservice.GetWorkflowExecutionHistoryResponse, error) {
	in, err := converter.GetDefaultDataConverter().ToPayloads(replication.Input{Spec: migration.SpecRef{Plan: "p"},
		Dataset: req.GetExecution().GetWorkflowId()})
	return &workflowservice.GetWorkflowExecutionHistoryResponse{History: &history.History{Events: []*history.HistoryEvent{{
		Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{
			WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{Input: in}}}}}}, err
}

// plan is what every reference leads to.
type plan struct{ spec *migration.Spec }

func (p plan) Spec(context.Context, migration.SpecRef) (*migration.Spec, error) { return p.spec, nil }

// opener remembers what was connected.
type opener struct {
	mu     sync.Mutex
	opened []string
	do     func(ctx context.Context, dataset string) error
}

func (o *opener) Open(ctx context.Context, name string, d migration.Dataset, target migration.Target) (*engine.Pair, error) {
	o.mu.Lock()
	o.opened = append(o.opened, name+" "+d.Name+" in "+target.Account)
	o.mu.Unlock()
	return nil, o.do(ctx, d.Name)
}

func TestAWorkerConnectsTheDatabasesOfItsSitesBeforeItTakesWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := func(site string) *migration.Postgres { return &migration.Postgres{Site: site, Target: "prod"} }
		spec := &migration.Spec{Plan: "p", Targets: []migration.Target{{Name: "prod", Account: "1234"}}, Datasets: []migration.Dataset{
			{Name: "orders", Postgres: at("dc1")}, {Name: "billing", Postgres: at("dc1")}, {Name: "audit", Postgres: at("dc1")},
			{Name: "elsewhere", Postgres: at("dc2")}, {Name: "attachments", Files: &migration.Files{Site: "dc1"}}}}
		var said bytes.Buffer
		o := &opener{do: func(ctx context.Context, dataset string) error {
			switch dataset {
			case "billing":
				return errors.New("connection refused")
			case "audit": // does not answer
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		w := &warmer{running{datasets: []string{"orders", "elsewhere", "attachments", "billing", "audit"}}, "default",
			converter.GetDefaultDataConverter(), plan{spec}, o, hclog.New(&hclog.LoggerOptions{Output: &said})}
		begun := time.Now()
		w.warm(t.Context(), []string{"dc1", "dc3"})
		require.Equal(t, warmLimit, time.Since(begun), "what does not answer holds nobody up for longer")
		slices.Sort(o.opened)
		require.Equal(t, []string{"p audit in 1234", "p billing in 1234", "p orders in 1234"}, o.opened)
		require.Contains(t, said.String(), "connection refused")
		require.Contains(t, said.String(), "dataset=audit")
	})
}
