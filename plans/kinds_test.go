package plans

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

func TestEveryKindOfTargetHasItsPartOfAPlan(t *testing.T) {
	var kinds []migration.TargetKind
	for _, k := range targetKinds {
		kinds = append(kinds, k.kind)
		require.Contains(t, names(fieldsOf(typeOf[WorkloadTarget]())), string(k.kind), "its key")
	}
	require.Equal(t, migration.TargetKinds, kinds)
}
