package kill

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// keepHistories writes every history of the lab's Temporal into a folder of out/, a line an event
// and a file a run, and answers with the folder. The histories of a test end with its lab.
func (b *bench) keepHistories() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir := filepath.Join("..", "..", "out", "histories", strings.ReplaceAll(b.t.Name(), "/", "_"))
	if err := os.RemoveAll(dir); err != nil {
		return err.Error()
	}
	runs, err := b.runs(ctx)
	if err != nil {
		return err.Error()
	}
	for _, x := range runs {
		if err := b.keepHistory(ctx, dir, x.GetExecution(), x.GetStartTime().AsTime()); err != nil {
			return err.Error()
		}
	}
	return dir
}

// runs are all that Temporal lists.
func (b *bench) runs(ctx context.Context) (out []*workflowpb.WorkflowExecutionInfo, err error) {
	for token := []byte(nil); ; {
		page, err := b.server.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{NextPageToken: token})
		if err != nil {
			return nil, err
		}
		out = append(out, page.GetExecutions()...)
		if token = page.GetNextPageToken(); len(token) == 0 {
			return out, nil
		}
	}
}

// history is all that has happened in a run.
func (b *bench) history(ctx context.Context, x *commonpb.WorkflowExecution) (out []*historypb.HistoryEvent, err error) {
	events := b.server.GetWorkflowHistory(ctx, x.GetWorkflowId(), x.GetRunId(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func (b *bench) keepHistory(ctx context.Context, dir string, x *commonpb.WorkflowExecution, started time.Time) error {
	at := filepath.Join(dir, filepath.FromSlash(x.GetWorkflowId()))
	if err := os.MkdirAll(at, 0o750); err != nil {
		return err
	}
	var out strings.Builder
	events, err := b.history(ctx, x)
	if err != nil {
		return err
	}
	for _, e := range events {
		at := e.GetEventTime().AsTime().Format("15:04:05.000")
		fmt.Fprintf(&out, "%4d %s %s %.1500s\n", e.GetEventId(), at, e.GetEventType(), attributes(e))
	}
	name := started.Format("150405.000") + "-" + x.GetRunId()[:8] + ".txt"
	return os.WriteFile(filepath.Join(at, name), []byte(out.String()), 0o600)
}

// attributes are what an event says, without its outer name.
func attributes(e *historypb.HistoryEvent) string {
	_, rest, _ := strings.Cut(fmt.Sprintf("%+v", e.GetAttributes()), "{")
	return strings.TrimSuffix(rest, "}")
}
