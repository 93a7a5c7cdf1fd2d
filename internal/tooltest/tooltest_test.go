package tooltest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// heard is a test that says how it ended.
type heard struct{ skipped, failed string }

func (h *heard) Helper()                           {}
func (h *heard) Skipf(format string, args ...any)  { h.skipped = fmt.Sprintf(format, args...) }
func (h *heard) Fatalf(format string, args ...any) { h.failed = fmt.Sprintf(format, args...) }

// tools is a folder with one tool in it.
func tools(t *testing.T, below string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), below)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bin", "there"), nil, 0o755))
	return dir
}

func TestAToolThatIsMissingFailsWhereTheToolsAreSaidToBe(t *testing.T) {
	dir := tools(t, "tools")
	t.Setenv(env, dir)
	var h heard
	require.Equal(t, dir, Dir(&h, "bin/there"))
	require.Zero(t, h)
	Dir(&h, "bin/there", "bin/gone")
	require.Empty(t, h.skipped)
	require.Contains(t, h.failed, "there is no bin/gone in "+dir+": make setup brings it")
}

func TestAToolThatIsMissingSkipsInAFreshCheckout(t *testing.T) {
	dir := tools(t, ".cache")
	t.Setenv(env, "")
	below := filepath.Join(filepath.Dir(dir), "a", "package")
	require.NoError(t, os.MkdirAll(below, 0o755))
	t.Chdir(below)
	var h heard
	require.Equal(t, dir, Dir(&h, "bin/there"))
	require.Equal(t, filepath.Join(dir, "bin/gone"), Path("bin/gone"))
	require.Zero(t, h)
	Dir(&h, "bin/gone")
	require.Empty(t, h.failed)
	require.Contains(t, h.skipped, "make setup")
}
