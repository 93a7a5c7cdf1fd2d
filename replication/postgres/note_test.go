package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// A note is read as long as the customer stays, and once more after it has left; the next stay
// begins without one.
func TestANoteIsOfOneStay(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	write := func(side migration.Side, n int64, words string) migration.Word {
		t.Helper()
		word, err := r.Pair.WriteNote(t.Context(), side, 1, migration.Note{Stay: home(r, 1).Stay(side), N: n, Words: words})
		require.NoError(t, err)
		return word
	}
	require.Empty(t, home(r, 1).Note(migration.OnPrem).Words)

	r.Move(s, 1, pairtest.Try(1, 1))
	require.Equal(t, migration.WordNoted, write(migration.AWS, 1, "finished"))
	require.Equal(t, migration.WordNoted, write(migration.AWS, 1, "finished"), "a repeat answers the same")
	require.Equal(t, "finished", home(r, 1).Note(migration.AWS).Words)
	require.Equal(t, migration.WordNoted, write(migration.AWS, 2, "comes back"))
	require.Equal(t, migration.WordSuperseded, write(migration.AWS, 1, "finished"), "a late writer")

	r.Move(d, 1, pairtest.Try(2, 1))
	require.Equal(t, "comes back", home(r, 1).Note(migration.AWS).Words, "why it has left is still known")
	require.Empty(t, home(r, 1).Note(migration.OnPrem).Words)

	r.Move(s, 1, pairtest.Try(3, 1))
	require.Empty(t, home(r, 1).Note(migration.AWS).Words, "the next stay begins without a note")
	require.Equal(t, migration.WordNoted, write(migration.AWS, 1, "bakes"))
}
