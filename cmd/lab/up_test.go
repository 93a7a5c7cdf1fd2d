package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab"
)

// A checkout may lie anywhere. What the lab prints is pasted into a shell of its folder.
func TestWhatTheLabPrintsCanBePastedInAFolderWithASpace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "my own checkout")
	bin := filepath.Join(dir, "bin")
	require.NoError(t, os.MkdirAll(bin, 0o755))
	said := filepath.Join(dir, "said")
	for name, script := range map[string]string{
		"lab":    "#!/bin/sh\necho export SAID=said\n",
		"drover": "#!/bin/sh\nfor a; do printf '<%s>' \"$a\"; done >>\"$SAID\"\necho >>\"$SAID\"\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755))
	}
	l := &lab.Lab{Plan: filepath.Join(dir, labDir, "plan.yaml")}
	_, commands, found := strings.Cut(nextSteps(planFile(l), "orders"), "in this folder:\n")
	require.True(t, found)
	cmd := exec.Command("bash", "-euc", commands)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	b, err := os.ReadFile(said)
	require.NoError(t, err)
	require.Equal(t, "<plan><validate><out/lab/plan.yaml>\n<submit><out/lab/plan.yaml>\n<status><orders><--watch>\n"+
		"<report><orders><--file><out/report.html>\n<evidence><orders><--dir><out>\n", string(b))
}
