package main

import (
	"io"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheReadmeNamesEveryCommand: whoever reads it knows what there is.
func TestTheReadmeNamesEveryCommand(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	for _, c := range (&app{out: io.Discard, err: io.Discard}).root().Commands() {
		if c.Name() == "help" || !c.IsAvailableCommand() {
			continue
		}
		named := regexp.MustCompile("`(drover )?" + c.Name() + "[ `]")
		require.True(t, named.Match(text), "README.md does not say what drover %s does", c.Name())
	}
}
