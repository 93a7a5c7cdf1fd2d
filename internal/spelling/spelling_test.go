package spelling_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/spelling"
)

func TestTheNearestWordIsProposedAndNothingFarAway(t *testing.T) {
	words := []string{"canary", "early", "wave", "rest"}
	for word, want := range map[string]string{
		"canry": "canary", "Wave": "wave", "waev": "wave", "early-2": "early", "orders": "", "": "", "x": "",
	} {
		require.Equal(t, want, spelling.Nearest(word, words), word)
	}
}
