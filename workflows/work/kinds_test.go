package work

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is asked of many, what lasts and what nobody waits for never lies before a Move.
func TestOnlyWhatAClosedCustomerWaitsForIsOnTheQueuesOfAFreeze(t *testing.T) {
	for name, k := range map[string]work{"Question": Question.work, "Launch": Launch.work, "Collection": Collection.work,
		"Watch": Watch.work, "Soak": Soak.work, "RollCall": RollCall.work, "Post": Post.work, "SoakQuestion": SoakQuestion.work,
		"Beginning": Beginning.work, "Survey": Survey.work, "Examination": Examination.work, "Observation": Observation.work,
		"BulkCopy": BulkCopy.work, "DiskCopy": DiskCopy.work, "Shutdown": Shutdown.work, "Audit": Audit.work, "Pass": Pass.work,
		"Records": Records.work, "Count": Count.work} {
		require.NotContains(t, k.queue("dc1"), "freeze", name)
	}
	for name, k := range map[string]work{"Freeze": Freeze.work, "FreezeStep": FreezeStep.work, "Resolution": Resolution.work,
		"RouteStep": RouteStep.work} {
		require.True(t, strings.HasSuffix(k.queue("dc1"), "freeze"), name)
		require.LessOrEqual(t, k.heartbeat, FreezeHeartbeat, name)
	}
	for name, k := range map[string]work{"Audit": Audit.work, "SoakQuestion": SoakQuestion.work, "Beginning": Beginning.work,
		"Survey": Survey.work, "Examination": Examination.work, "BulkCopy": BulkCopy.work, "Pass": Pass.work, "Shutdown": Shutdown.work,
		"Freeze": Freeze.work} {
		require.NotEqual(t, DiskCopy.queue("dc1"), k.queue("dc1"), "%s waits behind the copies of hundreds of disks", name)
	}
	require.NotEqual(t, Watch.queue(""), Question.queue(""), "a bake lasts, and takes a slot of its queue for that long")
}

// What is made beside a customer's data, or while it is closed, is removed or settled only when no
// attempt at making it goes on.
func TestWhatMakesThingsIsWaitedForWhereItIsCanceled(t *testing.T) {
	for name, k := range map[string]work{"Launch": Launch.work, "Survey": Survey.work, "Observation": Observation.work,
		"BulkCopy": BulkCopy.work, "Pass": Pass.work, "Freeze": Freeze.work} {
		require.True(t, k.finishes, name)
		require.NotZero(t, k.heartbeat, "%s: by its heartbeats it hears of the cancel, and a lost worker is not waited for", name)
	}
}
