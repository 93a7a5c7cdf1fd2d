package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shelf notes where it was asked to keep.
type shelf struct {
	dirs []string
	late error // of the time that was left
	full error
}

func (s *shelf) Keep(ctx context.Context, dir string) error {
	s.dirs, s.late = append(s.dirs, dir), ctx.Err()
	return s.full
}

func TestADemonstrationThatFailsKeepsWhatTellsWhyAndSaysWhere(t *testing.T) {
	began, failed := time.Date(2026, 12, 2, 20, 30, 0, 0, time.Local), errors.New("2 writes were lost")
	dir := filepath.Join("out", "failed-20261202-203000")
	over, cancel := context.WithTimeout(t.Context(), 0) // as after twenty minutes
	defer cancel()
	s := &shelf{}
	err := ended(over, s, began, failed)
	require.ErrorIs(t, err, failed)
	require.ErrorContains(t, err, "are kept in "+dir)
	require.Equal(t, []string{dir}, s.dirs)
	require.NoError(t, s.late, "what is kept has time of its own")

	s = &shelf{full: errors.New("no space left on device")}
	err = ended(t.Context(), s, began, failed)
	require.ErrorIs(t, err, failed)
	require.ErrorIs(t, err, s.full, "what could not be kept is said")
}

func TestADemonstrationThatSucceedsOrIsInterruptedKeepsNothing(t *testing.T) {
	s := &shelf{}
	require.NoError(t, ended(t.Context(), s, time.Now(), nil))
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	require.Error(t, ended(ctx, s, time.Now(), errors.New("interrupted")))
	require.Empty(t, s.dirs)
}
