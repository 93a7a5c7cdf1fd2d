package compute

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

func TestEveryKindOfTargetIsCheckedAndRetired(t *testing.T) {
	for _, k := range migration.TargetKinds {
		require.NotNil(t, kinds[k].check, k)
		require.NotNil(t, kinds[k].retire, k)
	}
	require.Len(t, kinds, len(migration.TargetKinds))
}
