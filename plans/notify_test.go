package plans

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestContactsThatNobodyTellsAndBatchesWithoutATimeAreWarnedOf(t *testing.T) {
	src, err := os.ReadFile("testdata/valid/notify.yaml")
	require.NoError(t, err)
	text := strings.Replace(string(src), ", {after: 20m, to: [lead]}", "", 1)
	p, problems := Parse("plan.yaml", []byte(text), "")
	require.Empty(t, problems)
	warnings := p.Warnings().Error()
	require.Contains(t, warnings, "notify.contacts.lead: no rule tells this contact anything")
	require.NotContains(t, warnings, "oncall", "whom a rule escalates to is told")
	require.Contains(t, warnings, "notify.rules[0].events[0]: batches without a window send no such message: found rest")
}

func TestAPlanWithoutMessagesCompilesAsBeforeThereWereAny(t *testing.T) {
	src, err := os.ReadFile("testdata/valid/defaults.yaml")
	require.NoError(t, err)
	require.NotContains(t, encoded(t, string(src)), "notify", "its digest stays what it was")
}
