package workflows

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
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

func history(t *testing.T, name string) *historypb.History {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	h, err := client.HistoryFromJSON(f, client.HistoryJSONOptions{})
	require.NoError(t, err)
	return h
}
