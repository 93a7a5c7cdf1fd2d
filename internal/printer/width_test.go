package printer_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/printer"
)

func TestTheWidthIsThatOfWhatIsPrintedOn(t *testing.T) {
	t.Cleanup(func() { printer.Width = 80 })
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	for columns, want := range map[string]int{"": 80, "120": 120, "3": 40, "wide": 80} {
		t.Setenv("COLUMNS", columns)
		printer.FitTerminal(file)
		require.Equal(t, want, printer.Width, columns)
	}
}

// TestATerminalWithoutASizeIsNotTakenForANarrowOne: script, and containers, make such terminals.
func TestATerminalWithoutASizeIsNotTakenForANarrowOne(t *testing.T) {
	t.Cleanup(func() { printer.Width = 80 })
	t.Setenv("COLUMNS", "")
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	defer terminal.Close()
	printer.FitTerminal(terminal)
	require.Equal(t, 80, printer.Width)
}
