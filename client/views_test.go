package client_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/drover-migration/drover/migration"
)

// The runbook gives queries for the Temporal UI: its server takes each, and what they ask for
// exists.
func TestTheViewsOfTheRunbookAreQueriesThatTemporalTakes(t *testing.T) {
	text, err := os.ReadFile("../docs/runbook.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "### Columns and views of the Temporal UI")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "Nothing is tried again in silence.")
	queries := regexp.MustCompile("(?m)^\\| [^|]+ \\| `([^`]+)` \\|$").FindAllStringSubmatch(section, -1)
	require.Len(t, queries, 7)
	for _, q := range queries {
		_, err := server.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Namespace: namespace, Query: q[1]})
		require.NoError(t, err, q[1])
	}
	for _, waits := range []migration.Waiting{migration.WaitApproval, migration.WaitOperator, migration.WaitResume} {
		require.Contains(t, queries[0][1], `"`+string(waits)+`"`)
	}
	require.Contains(t, queries[1][1], `"`+string(migration.CustomerHeld)+`"`)
	require.Contains(t, queries[3][1], `"`+string(migration.AWS)+`"`)
}
