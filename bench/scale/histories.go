package main

import (
	"context"
	"fmt"
	"sync"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
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

	Kinds map[string]int64 `json:"kinds,omitempty"` // events of all runs together, where they are counted
}

// describers is how many workflows are described at a time.
const describers = 8

// histories looks at every run of every workflow: those that went on as new, too.
func histories(ctx context.Context, c temporalclient.Client, kinds bool) (map[string]*history, error) {
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
				var counted map[string]int64
				if kinds {
					var err error
					if counted, err = countKinds(ctx, c, e.GetExecution()); err != nil {
						return err
					}
				}
				return describe(ctx, c, e.GetExecution(), func(events, bytes int64) {
					mu.Lock()
					defer mu.Unlock()
					h := found[e.GetType().GetName()]
					if h == nil {
						h = &history{Kinds: map[string]int64{}}
						found[e.GetType().GetName()] = h
					}
					h.Runs++
					for kind, n := range counted {
						h.Kinds[kind] += n
					}
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

// countKinds counts the events of a run by their kind, signals and activities by name.
func countKinds(ctx context.Context, c temporalclient.Client, e *commonpb.WorkflowExecution) (map[string]int64, error) {
	found := map[string]int64{}
	all := c.GetWorkflowHistory(ctx, e.GetWorkflowId(), e.GetRunId(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for all.HasNext() {
		event, err := all.Next()
		if err != nil {
			return nil, fmt.Errorf("read the history of %s: %w", e.GetWorkflowId(), err)
		}
		kind := event.GetEventType().String()
		switch {
		case event.GetWorkflowExecutionSignaledEventAttributes() != nil:
			kind += " " + event.GetWorkflowExecutionSignaledEventAttributes().GetSignalName()
		case event.GetSignalExternalWorkflowExecutionInitiatedEventAttributes() != nil:
			kind += " " + event.GetSignalExternalWorkflowExecutionInitiatedEventAttributes().GetSignalName()
		case event.GetActivityTaskScheduledEventAttributes() != nil:
			kind += " " + event.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName()
		}
		found[kind]++
	}
	return found, nil
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
