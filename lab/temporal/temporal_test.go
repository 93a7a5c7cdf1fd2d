package temporal

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheServerAnswersOnAPortOfItsOwn(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s, err := Start(ctx, Options{Tools: tools(t), Dir: t.TempDir()})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.check(ctx))
}

func tools(t *testing.T) string {
	if d := os.Getenv("DROVER_TOOLS"); d != "" {
		return d
	}
	d, err := filepath.Abs("../../.cache")
	require.NoError(t, err)
	return d
}
