package worker

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/homes"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// shelf is a state bucket in memory, whose writers come one after the other.
type shelf map[string][]byte

func (s shelf) Get(_ context.Context, _ migration.StateStore, _ migration.Target, key string) ([]byte, string, error) {
	b, ok := s[key]
	if !ok {
		return nil, "", objects.ErrNotFound
	}
	return b, "1", nil
}

func (s shelf) Put(_ context.Context, _ migration.StateStore, _ migration.Target, key string, body []byte, _ string) (string, error) {
	s[key] = body
	return "1", nil
}

func TestWhoHasNoDatabaseIsRoutedByItsRecordWhateverWasAsked(t *testing.T) {
	spec := &migration.Spec{Plan: "p", State: migration.StateStore{Target: "prod", Bucket: "b"},
		Targets:  []migration.Target{{Name: "prod"}},
		Datasets: []migration.Dataset{{Name: "orders", Postgres: &migration.Postgres{}}},
		Customers: []migration.Customer{{ID: "acme"}, {ID: "beta", Datasets: []string{"orders"}}, {ID: "odd"},
			{ID: "gone"}}}
	kept := shelf{"plans/p/homes/odd.json": []byte("{}")}
	records := homes.New(kept)
	r := recorded{nil, records}
	ref := migration.SpecRef{Plan: "p", State: spec.State, Target: spec.Targets[0]}
	try := migration.Try{Token: 3, Owner: "x"}
	_, err := records.Commit(t.Context(), ref, "acme", migration.AWS, 5, try, nil)
	require.NoError(t, err)
	_, err = records.Weigh(t.Context(), ref, "acme", 25, try)
	require.NoError(t, err)

	got, err := r.now(t.Context(), spec, []routes.Wanted{{Customer: "acme", Side: migration.AWS, Token: 3, Weight: 5},
		{Customer: "beta", Side: migration.AWS, Token: 9}, {Customer: "odd", Side: migration.AWS, Token: 1},
		{Customer: "gone", Side: migration.AWS, Token: 1}, {Customer: "nobody", Side: migration.AWS, Token: 1}})
	require.NoError(t, err)
	require.Equal(t, []routes.Wanted{{Customer: "acme", Side: migration.AWS, Token: 3, Weight: 25},
		{Customer: "beta", Side: migration.AWS, Token: 9}, {Customer: "odd"}, {Customer: "gone", Side: migration.OnPrem},
		{Customer: "nobody", Side: migration.AWS, Token: 1}}, got)
}

// away is a state bucket that does not answer.
type away struct{ shelf }

var errAway = errors.New("no answer")

func (away) Get(context.Context, migration.StateStore, migration.Target, string) ([]byte, string, error) {
	return nil, "", errAway
}

// heard is a router that remembers what it was asked.
type heard struct {
	traffic.Router
	wanted []routes.Wanted
}

func (h *heard) Reconcile(_ context.Context, _ *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	h.wanted = append(h.wanted, wanted...)
	return map[string]routes.State{"beta": {Customer: "beta"}}, nil
}

func TestWhoHasADatabaseIsRoutedWhileNoRecordCanBeRead(t *testing.T) {
	spec := &migration.Spec{Plan: "p", Datasets: []migration.Dataset{{Name: "orders", Postgres: &migration.Postgres{}}},
		Customers: []migration.Customer{{ID: "acme"}, {ID: "beta", Datasets: []string{"orders"}}}}
	h := &heard{}
	r := recorded{h, homes.New(away{})}
	acme := routes.Wanted{Customer: "acme", Side: migration.AWS, Token: 3}
	beta := routes.Wanted{Customer: "beta", Side: migration.AWS, Token: 9}
	states, err := r.Reconcile(t.Context(), spec, []routes.Wanted{acme, beta})
	require.ErrorIs(t, err, errAway, "acme is told why its route is left as it is")
	require.Contains(t, states, "beta")
	require.Equal(t, []routes.Wanted{beta}, h.wanted)
	_, err = r.Reconcile(t.Context(), spec, []routes.Wanted{acme})
	require.ErrorIs(t, err, errAway)
	_, err = r.Restore(t.Context(), spec, []routes.Wanted{beta})
	require.ErrorIs(t, err, errAway, "nothing is restored while it is not known where acme is homed")
}
