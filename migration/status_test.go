package migration_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

func TestACommandIsRefusedOnlyAfterItsTime(t *testing.T) {
	now := time.Date(2026, 12, 2, 22, 0, 0, 0, time.UTC)
	require.NoError(t, migration.Command{}.Late(now), "it says no time")
	require.NoError(t, migration.Command{Until: now}.Late(now))
	require.ErrorContains(t, migration.Command{Until: now}.Late(now.Add(time.Millisecond)), "came too late and was withdrawn: it was "+
		"good until 2026-12-02T22:00:00Z")
}
