package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryHelpFitsATerminalAndHasAnExample walks all commands: one that is added later has both,
// too.
func TestEveryHelpFitsATerminalAndHasAnExample(t *testing.T) {
	seen := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			walk(c)
		}
		if cmd.Name() == "help" {
			return
		}
		seen++
		var out, errs bytes.Buffer
		words := strings.Fields(cmd.CommandPath())
		require.Zero(t, run(append(words[1:], "--help"), strings.NewReader(""), &out, &errs), cmd.CommandPath())
		require.Empty(t, errs.String())
		for line := range strings.Lines(out.String()) {
			assert.LessOrEqual(t, len([]rune(strings.TrimRight(line, "\n"))), 80, "%s --help: %s", cmd.CommandPath(), line)
		}
		if cmd.Runnable() && !cmd.HasAvailableSubCommands() {
			assert.Contains(t, cmd.Example, cmd.CommandPath(), "an example of %s", cmd.CommandPath())
			require.Contains(t, out.String(), "Examples:\n")
		}
	}
	root := (&app{}).root()
	for _, c := range root.Commands() { // one list of forty would be searched from its beginning
		require.True(t, c.GroupID != "" || c.Name() == "help" || c.IsAdditionalHelpTopicCommand(), "%s is in no group", c.Name())
	}
	walk(root)
	require.Greater(t, seen, 30)
}
