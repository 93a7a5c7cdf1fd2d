package check

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

func TestEveryKindOfTargetIsPreviewed(t *testing.T) {
	for _, k := range migration.TargetKinds {
		require.Contains(t, previews, k)
	}
}
