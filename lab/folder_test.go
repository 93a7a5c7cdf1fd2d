package lab

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASecondLabInOneFolderIsRefusedAndTouchesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with a space", "lab")
	first, err := takeFolder(dir)
	require.NoError(t, err)
	kept := filepath.Join(dir, "plan.yaml")
	require.NoError(t, os.WriteFile(kept, nil, 0o600))

	_, err = takeFolder(dir)
	require.ErrorIs(t, err, ErrRuns)
	require.ErrorContains(t, err, "pid "+strconv.Itoa(os.Getpid())+", it is starting")
	require.NoError(t, first.say(holder{PID: os.Getpid(), URL: "http://127.0.0.1:8233"}))
	_, err = takeFolder(dir)
	require.ErrorContains(t, err, ", http://127.0.0.1:8233); use it, end it with Ctrl-C")
	require.FileExists(t, kept)

	_, err = Start(t.Context(), Options{Dir: dir, Shape: SmallShape(1)})
	require.ErrorIs(t, err, ErrRuns)
	require.FileExists(t, kept, "the one that was refused cleans up nothing of the other's")

	first.leave()
	left, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	require.Empty(t, left)
	second, err := takeFolder(dir)
	require.NoError(t, err)
	second.leave()
}

func TestAFolderOfALabThatWasKilledIsTakenAndEmptied(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lab")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "old"), nil, 0o600))
	require.NoError(t, os.WriteFile(dir+".lock", []byte(`{"pid":1,"url":"http://gone"}`), 0o644))
	f, err := takeFolder(dir)
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(dir, "old"))
	f.leave()
}
