package evidence_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/activities/evidence"
	engine "github.com/drover-migration/drover/evidence"
	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/internal/secrets"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/files/s3test"
)

func TestMain(m *testing.M) { os.Exit(s3test.Main(m, tooltest.Path("bin/versitygw"))) }

// world is a plan with a batch, in an object store of its own.
type world struct {
	*testing.T
	ref    migration.SpecRef
	spec   *migration.Spec
	public ed25519.PublicKey
	keyAt  string

	mu     sync.Mutex
	batch  migration.BatchStatus
	gone   map[string]bool // customers, or the plan as ""
	broken error           // of every customer
	read   int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	tooltest.Dir(t, "bin/versitygw")
	w := &world{T: t, gone: map[string]bool{}, keyAt: filepath.Join(t.TempDir(), "evidence.pem")}
	key, err := identity.WriteKey(w.keyAt)
	require.NoError(t, err)
	w.public, _ = key.Public().(ed25519.PublicKey)
	bucket := "state-" + strings.ToLower(rand.Text()[:12])
	_, err = s3test.Client(t).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket})
	require.NoError(t, err)
	state := migration.StateStore{Target: "main", Bucket: bucket, Prefix: "drover"}
	w.ref = migration.SpecRef{Plan: "shop", Revision: 3, Digest: strings.Repeat("ab", 32), State: state,
		Target: migration.Target{Name: "main"}}
	w.spec = &migration.Spec{Plan: "shop", Revision: 3, State: state,
		Evidence: &migration.Evidence{Key: migration.SecretRef("file://" + w.keyAt)}}
	w.batch = migration.BatchStatus{Name: "canary", Phase: migration.BatchDone}
	for _, id := range []string{"acme", "beta", "zeta"} {
		w.spec.Customers = append(w.spec.Customers, migration.Customer{ID: id, Name: strings.ToUpper(id)})
		w.batch.Customers = append(w.batch.Customers, migration.CustomerStatus{ID: id, Home: migration.AWS})
	}
	return w
}

func (w *world) Spec(context.Context, migration.SpecRef) (*migration.Spec, error) { return w.spec, nil }

func (w *world) ServerVersion(context.Context) (string, error) { return "1.29.1", nil }

func (w *world) Migration(context.Context, string) (migration.MigrationStatus, error) {
	if w.gone[""] {
		return migration.MigrationStatus{}, evidence.ErrGone
	}
	return migration.MigrationStatus{Plan: "shop", Timeline: []migration.Event{{At: time.Now(), What: "plan accepted"}}}, nil
}

func (w *world) Batch(_ context.Context, _, name string) (migration.BatchStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name != "canary" {
		return migration.BatchStatus{}, evidence.ErrGone
	}
	w.batch.Reason = time.Now().String() // no two readings are alike
	return w.batch, nil
}

func (w *world) Customer(_ context.Context, _, id string) (migration.CustomerStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read++
	switch {
	case w.gone[id]:
		return migration.CustomerStatus{}, evidence.ErrGone
	case w.broken != nil:
		return migration.CustomerStatus{}, w.broken
	}
	return migration.CustomerStatus{ID: id, Home: migration.AWS, Timeline: []migration.Event{{At: time.Now(), What: "homed on aws"}}}, nil
}

// env has a worker with an empty memory.
func (w *world) env() *testsuite.TestActivityEnvironment {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	store := &objects.Store{S3: func(context.Context, migration.Target) (*s3.Client, error) { return s3test.Client(w.T), nil }}
	env.RegisterActivity(evidence.New(w, w, store, secrets.New(nil)))
	return env
}

func (w *world) keep(run string) (string, error) {
	v, err := w.env().ExecuteActivity("KeepEvidence", evidence.KeepRequest{Spec: w.ref, Batch: "canary", Run: run})
	if err != nil {
		return "", err
	}
	var out evidence.KeepResult
	require.NoError(w, v.Get(&out))
	return out.At, nil
}

func (w *world) make(batch string) (migration.EvidenceBundle, error) {
	v, err := w.env().ExecuteActivity("MakeEvidence", evidence.MakeRequest{Spec: w.ref, Batch: batch})
	if err != nil {
		return migration.EvidenceBundle{}, err
	}
	var out migration.EvidenceBundle
	return out, v.Get(&out)
}

// objects are the keys in the bucket.
func (w *world) objects() (keys []string) {
	list, err := s3test.Client(w.T).ListObjectsV2(w.Context(), &s3.ListObjectsV2Input{Bucket: &w.ref.State.Bucket})
	require.NoError(w, err)
	for _, o := range list.Contents {
		keys = append(keys, aws.ToString(o.Key))
	}
	return keys
}

func (w *world) object(at string) []byte {
	key, ok := objects.Key(w.ref.State, at)
	require.True(w, ok)
	store := &objects.Store{S3: func(context.Context, migration.Target) (*s3.Client, error) { return s3test.Client(w.T), nil }}
	text, _, err := store.Get(w.Context(), w.ref.State, w.ref.Target, key)
	require.NoError(w, err)
	return text
}

func TestTheEvidenceOfABatchIsKeptOnceHoweverOftenItIsAskedFor(t *testing.T) {
	w := newWorld(t)
	at, err := w.keep("run1")
	require.NoError(t, err)
	require.Equal(t, "s3://"+w.ref.State.Bucket+"/drover/plans/shop/evidence/"+w.ref.Digest+"/canary-run1.jsonl", at)
	first := w.object(at)
	b, err := engine.Verify(first, w.public)
	require.NoError(t, err)
	require.Equal(t, "run1", b.Head.Run)
	require.NotEmpty(t, b.Head.Namespace)
	require.NotZero(t, b.Head.Made)
	require.Contains(t, string(first), `"what":"homed on aws"`)
	require.NotContains(t, string(first), "ACME")

	w.read = 0
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			again, err := w.keep("run1")
			if err != nil || again != at {
				t.Errorf("%s: %v", again, err)
			}
		})
	}
	all.Wait()
	require.Zero(t, w.read, "nobody is asked again")
	require.Equal(t, first, w.object(at))
	require.Len(t, w.objects(), 1)

	other, err := w.keep("run2")
	require.NoError(t, err)
	require.NotEqual(t, at, other, "the plan was submitted once more: what was kept of the first time stays")
	require.Len(t, w.objects(), 2)
}

func TestOfManyWhoKeepEvidenceAtOnceOneWrites(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if _, err := w.keep("run1"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Len(t, w.objects(), 1)
}

func TestWhatSomebodyElsePutInThePlaceOfEvidenceIsNotTakenForIt(t *testing.T) {
	w := newWorld(t)
	_, foreign, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	forged, err := engine.Seal([][]byte{[]byte(`{"kind":"batch"}`)}, foreign)
	require.NoError(t, err)
	key := "drover/plans/shop/evidence/" + w.ref.Digest + "/canary-run1.jsonl"
	_, err = s3test.Client(t).PutObject(t.Context(), &s3.PutObjectInput{Bucket: &w.ref.State.Bucket, Key: &key,
		Body: strings.NewReader(string(forged))})
	require.NoError(t, err)
	_, err = w.keep("run1")
	require.ErrorContains(t, err, "is not evidence that the plan's key has signed: line 2: it was signed with another key")
	require.Len(t, w.objects(), 1)
}

// A bundle that the plan's key has signed says what happened to its own batch, and to no other.
func TestAGenuineBundleOfSomethingElseIsNotTakenForABatchsEvidence(t *testing.T) {
	place := func(w *world, text string) {
		key := "drover/plans/shop/evidence/" + w.ref.Digest + "/canary-run1.jsonl"
		_, err := s3test.Client(t).PutObject(t.Context(), &s3.PutObjectInput{Bucket: &w.ref.State.Bucket, Key: &key,
			Body: strings.NewReader(text)})
		require.NoError(t, err)
	}
	sealed := func(w *world, h engine.Head) string {
		text, err := os.ReadFile(w.keyAt)
		require.NoError(t, err)
		key, err := identity.ParseKey(text)
		require.NoError(t, err)
		lines, err := engine.Facts{Ref: migration.SpecRef{Plan: h.Plan, Digest: h.Digest}, Spec: w.spec, Batch: h.Batch, Run: h.Run,
			Made: time.Now()}.Lines()
		require.NoError(t, err)
		bundle, err := engine.Seal(lines, key)
		require.NoError(t, err)
		return string(bundle)
	}
	for name, change := range map[string]func(*engine.Head){
		"another batch":        func(h *engine.Head) { h.Batch = "week-2" },
		"another plan":         func(h *engine.Head) { h.Plan = "other" },
		"another revision":     func(h *engine.Head) { h.Digest = strings.Repeat("cd", 32) },
		"another run":          func(h *engine.Head) { h.Run = "run0" },
		"while it was running": func(h *engine.Head) { h.Run = "" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h := engine.Head{Plan: "shop", Digest: w.ref.Digest, Batch: "canary", Run: "run1"}
			change(&h)
			place(w, sealed(w, h))
			_, err := w.keep("run1")
			require.ErrorContains(t, err, "is the evidence of something else")
			require.Contains(t, err.Error(), "batch "+h.Batch)
		})
	}
	w := newWorld(t)
	place(w, sealed(w, engine.Head{Plan: "shop", Digest: w.ref.Digest, Batch: "canary", Run: "run1"}))
	_, err := w.keep("run1")
	require.NoError(t, err, "its own")
}

func TestWhatTemporalNoLongerHasIsSaidToBeMissing(t *testing.T) {
	w := newWorld(t)
	w.gone["beta"], w.gone[""] = true, true
	at, err := w.keep("run1")
	require.NoError(t, err)
	text := string(w.object(at))
	require.Contains(t, text, `{"kind":"missing","of":"plan","why":"it is in Temporal no longer"}`)
	require.Contains(t, text, `{"kind":"missing","of":"timeline of customer beta"`)
	require.Contains(t, text, `{"kind":"customer","id":"beta"`, "as its batch knows it")
}

func TestATroubleThatMayPassWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.broken = errors.New("no worker answers")
	_, err := w.keep("run1")
	require.ErrorContains(t, err, "no worker answers")
	require.Empty(t, w.objects())
	w.broken = nil
	_, err = w.keep("run1")
	require.NoError(t, err)
}

func TestEvidenceThatIsAskedForIsWhatWasKeptOrHowItStands(t *testing.T) {
	w := newWorld(t)
	now, err := w.make("canary")
	require.NoError(t, err)
	require.Empty(t, now.Kept)
	_, err = engine.Verify([]byte(now.Text), w.public)
	require.NoError(t, err)
	require.Empty(t, w.objects())

	w.batch.Evidence, err = w.keep("run1")
	require.NoError(t, err)
	kept, err := w.make("canary")
	require.NoError(t, err)
	require.Equal(t, w.batch.Evidence, kept.Kept)
	require.Equal(t, string(w.object(kept.Kept)), kept.Text)

	_, err = w.make("nobody")
	require.ErrorContains(t, err, "batch nobody of plan shop has not started, or Temporal no longer has it: what was kept of it is below")
}

func TestAKeyThatCannotSignIsFoundBeforeAnythingIsTouched(t *testing.T) {
	for name, c := range map[string]struct {
		key    func(*world) migration.SecretRef
		reason string
	}{
		"not there": {func(*world) migration.SecretRef { return "env://DROVER_NO_SUCH_KEY" }, "the variable is not set"},
		"no key": {func(w *world) migration.SecretRef {
			require.NoError(w, os.WriteFile(w.keyAt, []byte("hunter2"), 0o600))
			return w.spec.Evidence.Key
		}, "holds no PEM block PRIVATE KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.spec.Evidence.Key = c.key(w)
			v, err := w.env().ExecuteActivity("CheckKey", w.ref)
			require.NoError(t, err)
			var found []migration.Finding
			require.NoError(t, v.Get(&found))
			require.Len(t, migration.Blockers(found), 1)
			require.Contains(t, found[0].Reason, c.reason)
			require.NotContains(t, found[0].Reason, "hunter2")
		})
	}
	w := newWorld(t)
	for _, e := range []*migration.Evidence{w.spec.Evidence, nil} { // a good one, and none
		w.spec.Evidence = e
		v, err := w.env().ExecuteActivity("CheckKey", w.ref)
		require.NoError(t, err)
		var found []migration.Finding
		require.NoError(t, v.Get(&found))
		require.Empty(t, found)
	}
	_, err := w.keep("run1")
	require.ErrorContains(t, err, "what is not signed is no evidence")
}
