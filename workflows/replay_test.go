package workflows

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/drover-migration/drover/internal/codec"
)

func TestRecordedHistoriesReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/replay/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files, "there is nothing to hold today's code to")
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			r, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{DataConverter: codec.DataConverter(), FailureConverter: codec.FailureConverter()})
			require.NoError(t, err)
			Register(r)
			require.NoError(t, r.ReplayWorkflowHistory(nil, history(t, name)))
		})
	}
}

// What an operator reads in the Temporal UI without opening an event: what each activity, timer and child is for.
func TestEverythingInAHistorySaysWhatItIsFor(t *testing.T) {
	files, err := filepath.Glob("testdata/replay/*.json")
	require.NoError(t, err)
	for _, name := range files {
		said := 0
		for _, e := range history(t, name).Events {
			switch e.GetEventType() {
			case enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, enums.EVENT_TYPE_TIMER_STARTED, enums.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
				require.NotNil(t, e.GetUserMetadata().GetSummary(), "%s: %s of event %d says nothing", filepath.Base(name), e.GetEventType(), e.GetEventId())
				said++
			}
		}
		require.Positive(t, said, name)
	}
}

func history(t *testing.T, name string) *historypb.History {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	h, err := client.HistoryFromJSON(f, client.HistoryJSONOptions{})
	require.NoError(t, err)
	return h
}
