package batch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

func TestABatchThatEndsKeepsItsEvidence(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(*herd)
		phase migration.BatchPhase
	}{
		"when its last soak is over": {func(*herd) {}, migration.BatchDone},
		"when it is aborted": {func(h *herd) {
			h.batch.Concurrency = 1
			h.at(90*time.Second, func() { h.signal(mail.SignalAbort, mail.Wish{By: "ann"}) })
		}, migration.BatchAborted},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHerd(t, 3)
			h.signs = true
			c.do(h)
			h.at(time.Minute, func() {
				require.Empty(t, h.kept, "it has not ended")
				require.Empty(t, h.says().Evidence)
			})
			h.run()
			require.Equal(t, c.phase, h.finalSays.Phase)
			require.Equal(t, "s3://state/wave.jsonl", h.finalSays.Evidence)
			require.Empty(t, h.finalSays.MayDo)
			require.Len(t, h.kept, 2, "the first answer was lost")
			require.Equal(t, h.kept[0], h.kept[1], "the same question names the same object")
			require.Equal(t, "wave", h.kept[0].Batch)
			require.Equal(t, "s3://state/wave.jsonl", h.reports[len(h.reports)-1].Status.Evidence)
			require.True(t, h.reports[len(h.reports)-1].Closed)
		})
	}
}

func TestABatchWhoseEvidenceIsRefusedEndsAndSaysSo(t *testing.T) {
	h := newHerd(t, 1)
	h.signs, h.refused = true, temporal.NewNonRetryableApplicationError("somebody else's bundle is there", "Evidence", nil)
	h.run()
	require.Equal(t, migration.BatchDone, h.finalSays.Phase)
	require.Empty(t, h.finalSays.Evidence)
	require.Contains(t, h.finalSays.Reason, "its evidence was not kept: somebody else's bundle is there")
	require.Len(t, h.kept, 1)
}

func TestAPlanWithoutAKeyKeepsNoEvidence(t *testing.T) {
	h := newHerd(t, 1)
	h.run()
	require.Empty(t, h.kept)
	require.Empty(t, h.finalSays.Evidence)
}
