package homes_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/activities/homes"
	engine "github.com/drover-migration/drover/homes"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/migration"
)

// shelf is a state bucket in memory for one writer of each key. It answers nobody before so many
// ask at once.
type shelf struct {
	mu    sync.Mutex
	kept  map[string][]byte
	waits int
	there chan struct{} // closed when they are
}

func (s *shelf) Get(ctx context.Context, _ migration.StateStore, _ migration.Target, key string) ([]byte, string, error) {
	s.mu.Lock()
	if s.waits--; s.waits == 0 {
		close(s.there)
	}
	s.mu.Unlock()
	if s.there != nil {
		select {
		case <-s.there:
		case <-ctx.Done():
			return nil, "", ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.kept[key]
	if !ok {
		return nil, "", objects.ErrNotFound
	}
	return b, "1", nil
}

func (s *shelf) Put(_ context.Context, _ migration.StateStore, _ migration.Target, key string, body []byte, _ string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[key] = body
	return "1", nil
}

func TestACustomersStoryInItsHomeRecord(t *testing.T) {
	a, ctx := homes.New(engine.New(&shelf{kept: map[string][]byte{}})), t.Context()
	of := homes.Request{Spec: migration.SpecRef{Plan: "p"}, Customer: "acme"}
	all := homes.ManyRequest{Spec: of.Spec, Customers: []string{"acme", "zeta"}}
	try := migration.Try{Token: 1, Owner: "a"}
	for range 2 { // each is run twice
		many, err := a.ReadHomeRecords(ctx, all)
		require.NoError(t, err)
		require.Equal(t, []string{"acme", "zeta"}, many.New)
	}
	for range 2 {
		got, err := a.CommitHome(ctx, homes.CommitRequest{Request: of, To: migration.AWS, Weight: 5, Try: try,
			Note: &migration.Note{N: 1, Words: "leaves"}})
		require.NoError(t, err)
		require.Equal(t, migration.WordOpen, got.Word)
		require.Equal(t, "leaves", got.Record.OnPrem.Note.Words)
	}
	for range 2 {
		got, err := a.WeighHome(ctx, homes.WeighRequest{Request: of, Weight: 25, Try: try})
		require.NoError(t, err)
		require.Equal(t, 25, got.Record.Weight)
	}
	for range 2 {
		got, err := a.NoteHomes(ctx, homes.NotesRequest{Spec: of.Spec, Side: migration.AWS, Notes: []homes.CustomerNote{
			{Customer: "acme", Note: migration.Note{Stay: 1, N: 1, Words: "bakes"}}, {Customer: "zeta", Note: migration.Note{N: 1}}}})
		require.NoError(t, err)
		require.Equal(t, []string{"acme"}, got.Noted, "zeta is at home")
	}
	for range 2 {
		got, err := a.ClaimHome(ctx, homes.ClaimRequest{Request: of, Try: migration.Try{Token: 4, Owner: "b"}})
		require.NoError(t, err)
		require.Equal(t, migration.WordOpen, got.Word)
	}
	rec, err := a.ReadHomeRecord(ctx, of)
	require.NoError(t, err)
	require.Equal(t, migration.Homed{Side: migration.AWS, Token: 4, Weight: 25}, rec.Homed())
	require.Equal(t, "bakes", rec.Note(migration.AWS).Words)
	many, err := a.ReadHomeRecords(ctx, all)
	require.NoError(t, err)
	require.Equal(t, []string{"zeta"}, many.New)
	require.Equal(t, migration.Homed{Side: migration.AWS, Token: 4, Weight: 25}, many.Homes["acme"])
}

func TestNotesAreWrittenBesideEachOtherAndOneThatCannotBeKeepsNobodyElse(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	odd := homes.CustomerNote{Customer: "odd", Note: migration.Note{N: 1}}
	req := homes.NotesRequest{Spec: migration.SpecRef{Plan: "p"}, Side: migration.OnPrem, Notes: []homes.CustomerNote{odd}}
	var others []string
	for i := range 40 {
		others = append(others, fmt.Sprintf("c%d", i))
		req.Notes = append(req.Notes, homes.CustomerNote{Customer: others[i], Note: migration.Note{N: 1, Words: "waits"}})
	}
	a := homes.New(engine.New(&shelf{waits: 16, there: make(chan struct{}),
		kept: map[string][]byte{"plans/p/homes/odd.json": []byte("{}")}}))
	for range 2 {
		got, err := a.NoteHomes(ctx, req)
		require.NoError(t, err)
		require.Equal(t, others, got.Noted)
	}
	_, err := a.NoteHomes(ctx, homes.NotesRequest{Spec: req.Spec, Side: req.Side, Notes: []homes.CustomerNote{odd}})
	require.ErrorContains(t, err, `home record of customer "odd"`)
}
