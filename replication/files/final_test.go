package files_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/files"
	"github.com/drover-migration/drover/replication/files/s3test"
)

// treeSize is how many files the test of the last pass has: DROVER_TREE, or a few segments of a
// manifest.
func treeSize(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("DROVER_TREE"))
	if err != nil {
		n = 2000
	}
	return n
}

// processorTime is how long this process has worked: it says the same on a busy machine.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// mostWork is how long a last pass may work, of any tree up to 200,000 files.
const mostWork = 1500 * time.Millisecond

func numbered(i int) string { return fmt.Sprintf("d%03d/e%d/f%d", i/1000, i%7, i) }

func allow(context.Context) error { return nil }

// The conditions are counts: what a freeze costs is what changed, and where S3 is home one listing
// request for each segment of the manifest.
func TestTheLastPassOverALargeTreeCostsWhatChanged(t *testing.T) {
	p := newPair(t)
	n := treeSize(t)
	for i := range n {
		at := filepath.Join(p.dir, numbered(i))
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		require.NoError(t, os.WriteFile(at, []byte(strconv.Itoa(i)), 0o600))
	}
	p.age()
	c, store := &counting{API: p.s3}, &countingStore{memory: p.store}
	job := p.job(migration.OnPrem)
	job.S3, job.Store = c, store
	began := time.Now()
	r, err := job.Pass(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, n, r.Copied)
	require.EqualValues(t, n, r.Verified)
	require.Equal(t, map[string]int{"put": n, "list": 1}, c.calls, "a first put asks nothing, and is verified by its answer")
	t.Logf("first copy of %d files: %s, %d saves of the head, %d segments", n, time.Since(began), store.heads, store.written)

	final := func(job *files.Job, change func()) files.Result {
		c.reset()
		run, err := job.Warm(t.Context())
		require.NoError(t, err)
		defer run.Close()
		require.Positive(t, run.Predicted())
		change()
		p.age()
		c.reset()
		store.reset()
		began, worked, there := time.Now(), processorTime(t), s3test.Worked(t)
		r, err := run.Final(t.Context(), allow)
		took, own := time.Since(began), processorTime(t)-worked
		require.NoError(t, err)
		t.Logf("from %s: predicted %s, took %s; this process worked %s, the object store %s: %v, %d saves of %d bytes", job.From,
			run.Predicted(), took, own, s3test.Worked(t)-there, c.calls, store.heads, store.bytes)
		require.Less(t, own, mostWork, "a freeze of two seconds has room for the answers of S3 beside it")
		require.Zero(t, store.reads, "the manifest is in memory")
		require.Zero(t, store.written, "and what changes goes into its head")
		return r
	}

	r = final(job, func() {})
	require.Zero(t, r.Copied+r.Deleted+r.Verified)
	require.EqualValues(t, n, r.Objects)
	require.Empty(t, c.calls, "nothing changed: S3 is not asked at all")
	require.Zero(t, store.heads)

	r = final(job, func() {
		p.write(numbered(n/2), "changed")
		p.write("a new one", "new")
		require.NoError(t, os.Remove(filepath.Join(p.dir, numbered(n-1))))
	})
	require.EqualValues(t, 2, r.Copied)
	require.EqualValues(t, 1, r.Deleted)
	require.EqualValues(t, 2, r.Verified)
	require.Equal(t, map[string]int{"put": 2, "head": 1, "delete": 1}, c.calls)
	require.Less(t, store.bytes, 300<<10)

	back := *job
	back.From = migration.AWS
	var requests int
	r = final(&back, func() {
		p.put("acme/"+numbered(n/3), "changed on AWS")
		p.put("acme/zz", "new on AWS")
		p.remove("acme/" + numbered(1))
	})
	requests = c.calls["list"]
	delete(c.calls, "list")
	require.EqualValues(t, 2, r.Copied)
	require.EqualValues(t, 1, r.Deleted)
	require.Equal(t, map[string]int{"get": 2}, c.calls)
	require.LessOrEqual(t, requests, n/400+4, "each segment of the manifest is listed by about one request")
	require.LessOrEqual(t, int(c.keys.Load()), n+n/8+1000, "and S3 is asked for hardly more than there is in it")
	require.Greater(t, requests, n/1000, "none is left out")
	require.Equal(t, "changed on AWS", p.read(numbered(n/3)))
	require.NoFileExists(t, filepath.Join(p.dir, numbered(1)))
	require.Zero(t, p.final(migration.OnPrem).Copied)
}

func TestWhatStandsInTheWayIsFoundBeforeTheFreeze(t *testing.T) {
	p := newPair(t)
	p.write("a", "ours")
	p.put("acme/foreign", "somebody else's")
	_, err := p.job(migration.OnPrem).Warm(t.Context())
	var differ *files.NotEqualError
	require.ErrorAs(t, err, &differ)
	require.Contains(t, differ.Differences[0], "foreign")
}

func TestTheLastPassAsksForItsOwnPermission(t *testing.T) {
	p := newPair(t)
	p.write("a", "one")
	job := p.job(migration.OnPrem)
	warm := errors.New("a Move has begun")
	allowed := true
	job.Allowed = func(context.Context) error {
		if !allowed {
			return warm
		}
		return nil
	}
	run, err := job.Warm(t.Context())
	require.NoError(t, err)
	defer run.Close()
	allowed = false
	p.age()
	asked := 0
	gone := errors.New("the fence no longer stands")
	ask := func(context.Context) error { asked++; return gone }
	_, err = run.Final(t.Context(), ask)
	require.NoError(t, err)
	require.Zero(t, asked, "nothing is carried")
	p.write("a", "two")
	_, err = run.Final(t.Context(), ask)
	require.ErrorIs(t, err, gone)
	require.Equal(t, "one", p.object("acme/a"))
	_, err = run.Final(t.Context(), allow)
	require.NoError(t, err)
	require.Equal(t, "two", p.object("acme/a"))
}

func TestAFolderThatComesBetweenTheWarmPassAndTheLastOneIsFound(t *testing.T) {
	p := newPair(t)
	require.NoError(t, os.Remove(p.dir))
	run, err := p.job(migration.OnPrem).Warm(t.Context())
	require.NoError(t, err)
	defer run.Close()
	p.write("a", "the customer's first")
	r, err := run.Final(t.Context(), allow)
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Copied)
	require.Equal(t, "the customer's first", p.object("acme/a"))
}

func TestTheHomeWinsAlsoOverWhatAppearsOnTheOtherSideAfterTheWarmPass(t *testing.T) {
	for _, home := range []migration.Side{migration.OnPrem, migration.AWS} {
		t.Run("home is "+string(home), func(t *testing.T) {
			p := newPair(t)
			p.write("a", "one")
			p.final(migration.OnPrem)
			run, err := p.job(home).Warm(t.Context())
			require.NoError(t, err)
			defer run.Close()
			p.write("b", "here")
			p.put("acme/b", "there")
			_, err = run.Final(t.Context(), allow)
			require.NoError(t, err)
			want := map[migration.Side]string{migration.OnPrem: "here", migration.AWS: "there"}[home]
			require.Equal(t, want, p.read("b"))
			require.Equal(t, want, p.object("acme/b"))
		})
	}
}
