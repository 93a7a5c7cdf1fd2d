package homes_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/homes"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/files/s3test"
)

func TestMain(m *testing.M) { os.Exit(s3test.Main(m, tooltest.Path("bin/versitygw"))) }

// place is a state bucket of its own in a real object store.
func place(t *testing.T) (*objects.Store, migration.SpecRef) {
	t.Helper()
	tooltest.Dir(t, "bin/versitygw")
	c := s3test.Client(t)
	ref := migration.SpecRef{Plan: "shop",
		State: migration.StateStore{Bucket: "state-" + strings.ToLower(rand.Text()[:12]), Prefix: "drover"}}
	_, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &ref.State.Bucket})
	require.NoError(t, err)
	return &objects.Store{S3: func(context.Context, migration.Target) (*s3.Client, error) { return c, nil }}, ref
}

func try(token int64) migration.Try {
	return migration.Try{Token: token, Owner: fmt.Sprintf("owner-%d", token)}
}

func TestACustomerOfWhomNothingWasWrittenIsAtHome(t *testing.T) {
	store, ref := place(t)
	rec, err := homes.New(store).Read(t.Context(), ref, "acme")
	require.NoError(t, err)
	require.Equal(t, migration.Homed{Side: migration.OnPrem}, rec.Homed())
	require.True(t, rec.Settled())
	require.Zero(t, rec.Stay(migration.OnPrem))
}

// steps are carried out in order on one record, each twice: cut off after its effect and before its
// answer, a step is repeated and answers the same.
func TestTheWordsOfTheSteps(t *testing.T) {
	type step struct {
		name   string
		do     func(*homes.Records, context.Context, migration.SpecRef) (homes.Step, error)
		word   migration.Word
		after  migration.Homed
		staysN int64 // of the present stay
	}
	commit := func(to migration.Side, weight int, by migration.Try) func(*homes.Records, context.Context, migration.SpecRef) (homes.Step,
		error) {
		return func(r *homes.Records, ctx context.Context, ref migration.SpecRef) (homes.Step, error) {
			return r.Commit(ctx, ref, "acme", to, weight, by, nil)
		}
	}
	weigh := func(weight int, by migration.Try) func(*homes.Records, context.Context, migration.SpecRef) (homes.Step, error) {
		return func(r *homes.Records, ctx context.Context, ref migration.SpecRef) (homes.Step, error) {
			return r.Weigh(ctx, ref, "acme", weight, by)
		}
	}
	claim := func(by migration.Try) func(*homes.Records, context.Context, migration.SpecRef) (homes.Step, error) {
		return func(r *homes.Records, ctx context.Context, ref migration.SpecRef) (homes.Step, error) {
			return r.Claim(ctx, ref, "acme", by)
		}
	}
	at := func(side migration.Side, token int64, weight int) migration.Homed {
		return migration.Homed{Side: side, Token: token, Weight: weight}
	}
	aws, onprem := migration.AWS, migration.OnPrem
	store, ref := place(t)
	for _, s := range []step{
		{"a try homes the customer on AWS, with a share", commit(aws, 5, try(3)), migration.WordOpen, at(aws, 3, 5), 3},
		{"an older one comes late", commit(aws, 100, try(2)), migration.WordSuperseded, at(aws, 3, 5), 3},
		{"another owner with the same token", commit(aws, 100, migration.Try{Token: 3, Owner: "twin"}), migration.WordSuperseded,
			at(aws, 3, 5), 3},
		{"a newer one to where it is already", commit(aws, 100, try(4)), migration.WordSealed, at(aws, 3, 5), 3},
		{"the share grows", weigh(25, try(3)), migration.WordOpen, at(aws, 3, 25), 3},
		{"a smaller share comes late", weigh(5, try(3)), migration.WordOpen, at(aws, 3, 25), 3},
		{"a share under another try", weigh(100, try(4)), migration.WordSuperseded, at(aws, 3, 25), 3},
		{"a repair leaves it where it is", claim(try(7)), migration.WordOpen, at(aws, 7, 25), 3},
		{"what the repair has ended comes late", commit(onprem, 0, try(5)), migration.WordSuperseded, at(aws, 7, 25), 3},
		{"an older repair comes late", claim(try(6)), migration.WordSuperseded, at(aws, 7, 25), 3},
		{"a share under the try that was repaired", weigh(100, try(3)), migration.WordSuperseded, at(aws, 7, 25), 3},
		{"a share under the repair", weigh(100, try(7)), migration.WordOpen, at(aws, 7, 100), 3},
		{"it goes back", commit(onprem, 0, try(8)), migration.WordOpen, at(onprem, 8, 0), 8},
		{"a share of a customer at home", weigh(5, try(8)), migration.WordSuperseded, at(onprem, 8, 0), 8},
		{"it goes out again", commit(aws, 5, try(9)), migration.WordOpen, at(aws, 9, 5), 9},
	} {
		for range 2 {
			got, err := s.do(homes.New(store), t.Context(), ref)
			require.NoError(t, err, s.name)
			require.Equal(t, s.word, got.Word, s.name)
			require.Equal(t, s.after, got.Record.Homed(), s.name)
			rec, err := homes.New(store).Read(t.Context(), ref, "acme")
			require.NoError(t, err, s.name)
			require.Equal(t, got.Record, rec, s.name)
			require.True(t, rec.Settled(), s.name)
			require.Equal(t, s.staysN, rec.Stay(rec.Home()), s.name)
		}
	}
	all, err := homes.New(store).ReadMany(t.Context(), ref, []string{"acme", "zeta"})
	require.NoError(t, err)
	require.Equal(t, at(aws, 9, 5), all["acme"].Homed())
	require.Equal(t, at(onprem, 0, 0), all["zeta"].Homed())
}

func TestANoteIsOfOneStayAndTheLaterOneStands(t *testing.T) {
	store, ref := place(t)
	r := homes.New(store)
	word := func(side migration.Side, stay, n int64, words string) migration.Word {
		t.Helper()
		w, err := r.WriteNote(t.Context(), ref, "acme", side, migration.Note{Stay: stay, N: n, Words: words})
		require.NoError(t, err)
		return w
	}
	require.Equal(t, migration.WordNoted, word(migration.OnPrem, 0, 2, "held"))
	require.Equal(t, migration.WordNoted, word(migration.OnPrem, 0, 2, "held"), "again")
	require.Equal(t, migration.WordSuperseded, word(migration.OnPrem, 0, 1, "waiting"), "a zombie's")
	leaving := migration.Note{Stay: 0, N: 3, Words: "moving"}
	s, err := r.Commit(t.Context(), ref, "acme", migration.AWS, 5, try(1), &leaving)
	require.NoError(t, err)
	require.Equal(t, leaving, s.Record.Note(migration.OnPrem), "what was remembered as it left stands")
	require.Zero(t, s.Record.Note(migration.AWS))
	require.Equal(t, migration.WordSuperseded, word(migration.OnPrem, 0, 4, "held"), "it has left")
	require.Equal(t, migration.WordNoted, word(migration.AWS, 1, 1, "bakes"))
	s, err = r.Commit(t.Context(), ref, "acme", migration.OnPrem, 0, try(2), nil)
	require.NoError(t, err)
	require.Zero(t, s.Record.Note(migration.OnPrem), "a note of an earlier stay counts for nothing")
	require.Equal(t, "bakes", s.Record.Note(migration.AWS).Words)
	require.Equal(t, migration.WordSuperseded, word(migration.OnPrem, 0, 9, "waiting"))
}

func TestAnObjectThatIsNoHomeRecordDecidesNothing(t *testing.T) {
	store, ref := place(t)
	r := homes.New(store)
	for i, body := range []string{"", "{}", `{"onprem":{"state":"open"},"aws":{"state":"open"}}`, "null"} {
		customer := fmt.Sprintf("c%d", i)
		_, err := store.Put(t.Context(), ref.State, ref.Target, "plans/shop/homes/"+customer+".json", []byte(body), objects.Any)
		require.NoError(t, err)
		rec, err := r.Read(t.Context(), ref, customer)
		require.NoError(t, err)
		require.Equal(t, migration.NoHome, rec.Home(), body)
		require.Contains(t, rec.Undecided(), "plans/shop/homes/"+customer+".json is no home record")
		_, err = r.Commit(t.Context(), ref, customer, migration.AWS, 5, try(1), nil)
		require.ErrorContains(t, err, "is no home record: restore")
	}
}

// slow is a worker whose write is held up: it is sent when the others are done.
type slow struct {
	objects.Bucket
	reached, released chan struct{}
}

func (s slow) Put(ctx context.Context, at migration.StateStore, target migration.Target, key string, body []byte,
	ifMatch string) (string, error) {
	close(s.reached)
	<-s.released
	return s.Bucket.Put(ctx, at, target, key, body, ifMatch)
}

func TestAWriteThatComesLateChangesNothing(t *testing.T) {
	for _, c := range []struct {
		name      string
		meanwhile func(t *testing.T, r *homes.Records, ref migration.SpecRef)
		after     migration.Homed
	}{
		{"a repair has ended its try", func(t *testing.T, r *homes.Records, ref migration.SpecRef) {
			s, err := r.Claim(t.Context(), ref, "acme", try(2))
			require.NoError(t, err)
			require.Equal(t, migration.WordOpen, s.Word)
		}, migration.Homed{Side: migration.OnPrem, Token: 2}},
		{"another try has gone and come back", func(t *testing.T, r *homes.Records, ref migration.SpecRef) {
			for i, to := range []migration.Side{migration.AWS, migration.OnPrem} {
				_, err := r.Commit(t.Context(), ref, "acme", to, 5, try(int64(3+i)), nil)
				require.NoError(t, err)
			}
		}, migration.Homed{Side: migration.OnPrem, Token: 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, ref := place(t)
			late := slow{store, make(chan struct{}), make(chan struct{})}
			done := make(chan homes.Step, 1)
			go func() {
				s, err := homes.New(late).Commit(t.Context(), ref, "acme", migration.AWS, 5, try(1), nil)
				if err != nil {
					t.Error(err)
				}
				done <- s
			}()
			<-late.reached
			c.meanwhile(t, homes.New(store), ref)
			close(late.released)
			require.Equal(t, migration.WordSuperseded, (<-done).Word)
			rec, err := homes.New(store).Read(t.Context(), ref, "acme")
			require.NoError(t, err)
			require.Equal(t, c.after, rec.Homed())
		})
	}
}

// mute is a worker that never hears that its write was done.
type mute struct{ objects.Bucket }

func (m mute) Put(ctx context.Context, at migration.StateStore, target migration.Target, key string, body []byte,
	ifMatch string) (string, error) {
	if _, err := m.Bucket.Put(ctx, at, target, key, body, ifMatch); err != nil {
		return "", err
	}
	return "", errors.New("the connection was lost")
}

func TestAStepWhoseAnswerWasLostAnswersTheSameAgain(t *testing.T) {
	store, ref := place(t)
	_, err := homes.New(mute{store}).Commit(t.Context(), ref, "acme", migration.AWS, 5, try(1), nil)
	require.ErrorContains(t, err, "the connection was lost")
	s, err := homes.New(store).Commit(t.Context(), ref, "acme", migration.AWS, 5, try(1), nil)
	require.NoError(t, err)
	require.Equal(t, migration.WordOpen, s.Word)
	require.Equal(t, migration.Homed{Side: migration.AWS, Token: 1, Weight: 5}, s.Record.Homed())
}

// inTurn has one request at a time. versitygw looks at a write's condition before it carries it
// out, and reads an object's bytes before its ETag: another write may come between. S3 does each at
// once.
type inTurn struct {
	objects.Bucket
	mu *sync.Mutex
}

func (b inTurn) Put(ctx context.Context, at migration.StateStore, target migration.Target, key string, body []byte,
	ifMatch string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Bucket.Put(ctx, at, target, key, body, ifMatch)
}

func (b inTurn) Get(ctx context.Context, at migration.StateStore, target migration.Target, key string) ([]byte, string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Bucket.Get(ctx, at, target, key)
}

// Any number of tries at once: of each token one owner gets through at most, the token never falls,
// and within one try the share never does.
func TestManyWritersAtOnceNeverGoBack(t *testing.T) {
	real, ref := place(t)
	store := inTurn{real, new(sync.Mutex)}
	var mu sync.Mutex
	won := map[int64]string{}
	var seen []migration.HomeRecord
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			r, dice := homes.New(store), mathrand.New(mathrand.NewPCG(uint64(w), 7)) //nolint:gosec // dice
			for range 25 {
				rec, err := r.Read(t.Context(), ref, "acme")
				if err != nil {
					t.Error(err)
					return
				}
				by := migration.Try{Token: rec.Token() + dice.Int64N(3), Owner: fmt.Sprintf("w%d-%d", w, dice.Int64())}
				var s homes.Step
				switch dice.IntN(3) {
				case 0:
					s, err = r.Commit(t.Context(), ref, "acme", rec.Home().Other(), 5, by, nil)
				case 1:
					s, err = r.Claim(t.Context(), ref, "acme", by)
				default:
					by = migration.Try{Token: rec.AWS.Token, Owner: rec.AWS.Owner}
					s, err = r.Weigh(t.Context(), ref, "acme", 5+dice.IntN(90), by)
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if s.Word == migration.WordOpen {
					if was, ok := won[by.Token]; ok && was != by.Owner {
						t.Errorf("token %d has two owners: %s and %s", by.Token, was, by.Owner)
					}
					won[by.Token] = by.Owner
				}
				seen = append(seen, s.Record)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	last, err := homes.New(store).Read(t.Context(), ref, "acme")
	require.NoError(t, err)
	for _, s := range seen {
		require.True(t, s.Settled())
		require.GreaterOrEqual(t, last.Token(), s.Token())
		if s.Token() == last.Token() {
			require.Equal(t, s.Home(), last.Home(), "within a token the home does not change")
			require.GreaterOrEqual(t, last.Weight, s.Weight)
		}
	}
}
