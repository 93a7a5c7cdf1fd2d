package workload

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

func TestEveryKindOfTargetIsBroughtUp(t *testing.T) {
	for _, k := range migration.TargetKinds {
		require.Contains(t, kinds, k)
	}
	require.Len(t, kinds, len(migration.TargetKinds))
}
