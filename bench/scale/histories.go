package main

import (
	"context"
	"fmt"
	"sync"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	temporalclient "go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"
)

// history is the largest of a workflow type, over all its runs.
type history struct {
	Runs   int   `json:"runs"`
	Events int64 `json:"events"`
	Bytes  int64 `json:"bytes"`
	Total  int64 `json:"total_events"` // of all runs together
}

// describers is how many workflows are described at a time.
const describers = 8

// histories looks at every run of every workflow: those that went on as new, too.
func histories(ctx context.Context, c temporalclient.Client) (map[string]*history, error) {
	found := map[string]*history{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(describers)
	req := &workflowservice.ListWorkflowExecutionsRequest{PageSize: 1000}
	for {
		page, err := c.ListWorkflow(ctx, req)
		if err != nil {
			return nil, fmt.Errorf("list the workflows: %w", err)
		}
		for _, e := range page.GetExecutions() {
			g.Go(func() error {
				return describe(ctx, c, e.GetExecution(), func(events, bytes int64) {
					mu.Lock()
					defer mu.Unlock()
					h := found[e.GetType().GetName()]
					if h == nil {
						h = &history{}
						found[e.GetType().GetName()] = h
					}
					h.Runs++
					h.Total += events
					h.Events, h.Bytes = max(h.Events, events), max(h.Bytes, bytes)
				})
			})
		}
		if req.NextPageToken = page.GetNextPageToken(); len(req.NextPageToken) == 0 {
			return found, g.Wait()
		}
	}
}

func describe(ctx context.Context, c temporalclient.Client, e *commonpb.WorkflowExecution, take func(events, bytes int64)) error {
	d, err := c.DescribeWorkflowExecution(ctx, e.GetWorkflowId(), e.GetRunId())
	if err != nil {
		return fmt.Errorf("describe %s: %w", e.GetWorkflowId(), err)
	}
	i := d.GetWorkflowExecutionInfo()
	take(i.GetHistoryLength(), i.GetHistorySizeBytes())
	return nil
}
