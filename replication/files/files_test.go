package files_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/files"
	"github.com/drover-migration/drover/replication/files/s3test"
)

func TestMain(m *testing.M) { os.Exit(s3test.Main(m, tooltest.Path("bin/versitygw"))) }

// pair is a folder and a prefix of a bucket of their own, with a manifest.
type pair struct {
	t      *testing.T
	s3     *s3.Client
	dir    string
	bucket string
	store  *memory
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{t: t, s3: s3test.Client(t), dir: filepath.Join(t.TempDir(), "acme"), store: &memory{}}
	p.bucket = "b-" + strings.ToLower(rand.Text()[:12])
	_, err := p.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &p.bucket})
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(p.dir, 0o755))
	return p
}

func (p *pair) job(from migration.Side) *files.Job {
	return &files.Job{Root: p.dir, S3: p.s3, Bucket: p.bucket, Prefix: "acme/", From: from, Store: p.store, Part: 5 << 20}
}

func (p *pair) pass(from migration.Side) files.Result {
	p.t.Helper()
	job := p.job(from)
	var carried atomic.Int64
	job.Carried = func(bytes int64) { carried.Add(bytes) }
	r, err := job.Pass(p.t.Context())
	require.NoError(p.t, err)
	require.Equal(p.t, r.Bytes, carried.Load())
	return r
}

func (p *pair) final(from migration.Side) files.Result {
	p.t.Helper()
	r, err := p.job(from).Final(p.t.Context())
	require.NoError(p.t, err)
	return r
}

func (p *pair) write(name, content string) {
	p.t.Helper()
	at := filepath.Join(p.dir, name)
	require.NoError(p.t, os.MkdirAll(filepath.Dir(at), 0o755))
	require.NoError(p.t, os.WriteFile(at+".new", []byte(content), 0o640))
	require.NoError(p.t, os.Rename(at+".new", at))
}

// age lets the files become so old that their looks prove what they are.
func (p *pair) age() { time.Sleep(110 * time.Millisecond) }

func (p *pair) read(name string) string {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, name))
	require.NoError(p.t, err)
	return string(b)
}

func (p *pair) put(key, content string) {
	p.t.Helper()
	_, err := p.s3.PutObject(p.t.Context(), &s3.PutObjectInput{Bucket: &p.bucket, Key: &key, Body: strings.NewReader(content)})
	require.NoError(p.t, err)
}

func (p *pair) object(key string) string {
	p.t.Helper()
	out, err := p.s3.GetObject(p.t.Context(), &s3.GetObjectInput{Bucket: &p.bucket, Key: &key})
	require.NoError(p.t, err)
	defer func() { _ = out.Body.Close() }()
	b, err := io.ReadAll(out.Body)
	require.NoError(p.t, err)
	return string(b)
}

func (p *pair) remove(key string) {
	p.t.Helper()
	_, err := p.s3.DeleteObject(p.t.Context(), &s3.DeleteObjectInput{Bucket: &p.bucket, Key: &key})
	require.NoError(p.t, err)
}

func (p *pair) keys() (out []string) {
	p.t.Helper()
	l, err := p.s3.ListObjectsV2(p.t.Context(), &s3.ListObjectsV2Input{Bucket: &p.bucket})
	require.NoError(p.t, err)
	for _, o := range l.Contents {
		out = append(out, *o.Key)
	}
	return out
}

// memory is a Store.
type memory struct {
	mu       sync.Mutex
	body     []byte
	n        int
	segments map[string][]byte
}

func (m *memory) LoadSegment(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.segments[name]
	if !ok {
		return nil, files.ErrManifest
	}
	return b, nil
}

func (m *memory) SaveSegment(_ context.Context, name string, body []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.segments == nil {
		m.segments = map[string][]byte{}
	}
	m.segments[name] = body
	return nil
}

func (m *memory) RemoveSegment(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.segments, name)
	return nil
}

func (m *memory) Load(context.Context) ([]byte, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.n == 0 {
		return nil, "", nil
	}
	return m.body, fmt.Sprint(m.n), nil
}

func (m *memory) Save(_ context.Context, body []byte, etag string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.n == 0 && etag != "" || m.n > 0 && etag != fmt.Sprint(m.n) {
		return "", files.ErrManifest
	}
	m.n++
	m.body = body
	return fmt.Sprint(m.n), nil
}

func TestATreeGoesToTheBucketAndWhatChangedThereComesBack(t *testing.T) {
	p := newPair(t)
	p.write("a.txt", "one")
	p.write("deep/er/b.txt", "two")
	p.write("odd name é+%2F&?.txt", "three")
	p.write("empty", "")
	require.NoError(t, os.Symlink("a.txt", filepath.Join(p.dir, "link")))
	when := time.Date(2021, 3, 4, 5, 6, 7, 89, time.UTC)
	require.NoError(t, os.Chtimes(filepath.Join(p.dir, "a.txt"), when, when))
	require.NoError(t, os.Chmod(filepath.Join(p.dir, "a.txt"), 0o604))

	r := p.pass(migration.OnPrem)
	require.EqualValues(t, 5, r.Copied)
	require.Empty(t, r.Conflicts)
	require.Equal(t, "three", p.object("acme/odd name é+%2F&?.txt"))
	r = p.final(migration.OnPrem)
	require.Zero(t, r.Copied)
	require.EqualValues(t, 5, r.Objects)

	// Home is AWS now: the application changes, adds and deletes there.
	p.put("acme/deep/er/b.txt", "two, changed")
	p.put("acme/new/c.txt", "four")
	p.remove("acme/empty")
	r = p.final(migration.AWS)
	require.EqualValues(t, 2, r.Copied)
	require.EqualValues(t, 1, r.Deleted)
	require.Equal(t, "two, changed", p.read("deep/er/b.txt"))
	require.Equal(t, "four", p.read("new/c.txt"))
	require.NoFileExists(t, filepath.Join(p.dir, "empty"))
	info, err := os.Stat(filepath.Join(p.dir, "a.txt"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o604), info.Mode())
	require.True(t, info.ModTime().Equal(when))

	// And home again: nothing to do.
	r = p.final(migration.OnPrem)
	require.Zero(t, r.Copied+r.Deleted)
}

func TestLooksComeBackWithAnObjectWhoseFileWasLost(t *testing.T) {
	p := newPair(t)
	p.write("stays", "two")
	p.write("x/a", "one")
	require.NoError(t, os.Symlink("../x/a", filepath.Join(p.dir, "x", "l")))
	when := time.Unix(1234567890, 123456789)
	require.NoError(t, os.Chtimes(filepath.Join(p.dir, "x/a"), when, when))
	require.NoError(t, os.Chmod(filepath.Join(p.dir, "x/a"), 0o751))
	p.final(migration.OnPrem)
	require.NoError(t, os.RemoveAll(filepath.Join(p.dir, "x")))
	p.final(migration.AWS)
	info, err := os.Stat(filepath.Join(p.dir, "x/a"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o751), info.Mode())
	require.True(t, info.ModTime().Equal(when))
	to, err := os.Readlink(filepath.Join(p.dir, "x", "l"))
	require.NoError(t, err)
	require.Equal(t, "../x/a", to)
}

func TestDeletionsTravelAndAFileMayBecomeAFolder(t *testing.T) {
	p := newPair(t)
	p.write("a", "file")
	p.write("b/c", "below")
	p.final(migration.OnPrem)
	require.NoError(t, os.Remove(filepath.Join(p.dir, "a")))
	require.NoError(t, os.RemoveAll(filepath.Join(p.dir, "b")))
	p.write("a/x", "now a folder")
	p.write("b", "now a file")
	r := p.final(migration.OnPrem)
	require.EqualValues(t, 2, r.Deleted)
	require.ElementsMatch(t, []string{"acme/a/x", "acme/b"}, p.keys())
}

func TestALongFileGoesInPartsBothWays(t *testing.T) {
	p := newPair(t)
	long := make([]byte, 11<<20)
	_, _ = rand.Read(long)
	p.write("stays", "two")
	p.write("long.bin", string(long))
	p.final(migration.OnPrem)
	require.True(t, p.object("acme/long.bin") == string(long))
	require.NoError(t, os.Remove(filepath.Join(p.dir, "long.bin")))
	p.final(migration.AWS)
	require.True(t, p.read("long.bin") == string(long))
	require.Zero(t, p.final(migration.OnPrem).Copied)
}

func TestAPassCostsWhatChanged(t *testing.T) {
	p := newPair(t)
	for i := range 50 {
		p.write(fmt.Sprintf("f%d", i), "same")
	}
	p.pass(migration.OnPrem)
	p.age()
	p.pass(migration.OnPrem)
	p.write("f7", "changed")
	c := &counting{API: p.s3}
	j := p.job(migration.OnPrem)
	j.S3 = c
	r, err := j.Pass(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Copied)
	require.Equal(t, map[string]int{"put": 1, "head": 1}, c.calls)
	p.age()
	c.reset()
	_, err = j.Pass(t.Context())
	require.NoError(t, err)
	c.reset()
	_, err = j.Pass(t.Context())
	require.NoError(t, err)
	require.Empty(t, c.calls, "an unchanged tree costs no request")
}

func TestTheBucketIsHeldAgainstTheManifestWhereThatIsAskedFor(t *testing.T) {
	p := newPair(t)
	p.write("a", "one")
	p.write("b", "two")
	p.age()
	p.pass(migration.OnPrem)
	p.remove("acme/a")
	require.Zero(t, p.pass(migration.OnPrem).Copied)
	j := p.job(migration.OnPrem)
	j.Verify = true
	r, err := j.Pass(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Copied)
	require.Equal(t, "one", p.object("acme/a"))
}

func TestAKilledPassIsNotBegunAgainAndItsFilesAreNoStrangers(t *testing.T) {
	p := newPair(t)
	p.write("a", "one")
	p.write("b", "two")
	// All is carried, and the worker dies before it saves: the manifest is what it was when it
	// began.
	ctx, cancel := context.WithCancel(t.Context())
	c := &counting{API: p.s3}
	n := 0
	j := p.job(migration.OnPrem)
	j.S3, j.Workers = c, 1
	j.Allowed = func(context.Context) error {
		if n++; n == 2 {
			p.store.mu.Lock()
			p.store.n++ // no save after this succeeds
			p.store.mu.Unlock()
			cancel()
		}
		return nil
	}
	_, err := j.Pass(ctx)
	require.Error(t, err)
	require.Equal(t, []string{"acme/a"}, p.keys())
	require.NoError(t, os.Remove(filepath.Join(p.dir, "a")))
	r := p.final(migration.OnPrem)
	require.EqualValues(t, 1, r.Deleted)
	require.Equal(t, []string{"acme/b"}, p.keys())
}

func TestAZombieOverwritesNothing(t *testing.T) {
	p := newPair(t)
	p.write("a", "old")
	p.final(migration.OnPrem)
	p.write("a", "newer, at home on premises")
	j := p.job(migration.OnPrem)
	// Between the zombie's check and its write the customer moved and the application wrote on AWS.
	j.S3 = &counting{API: p.s3, onPut: func() { p.put("acme/a", "written on AWS") }}
	r, err := j.Pass(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Conflicts, 1)
	require.Contains(t, r.Conflicts[0], "a: the object was changed by somebody else")
	require.Equal(t, "written on AWS", p.object("acme/a"))

	gone := errors.New("the home record says otherwise")
	for _, from := range []migration.Side{migration.OnPrem, migration.AWS} {
		j = p.job(from)
		j.Allowed = func(context.Context) error { return gone }
		_, err = j.Pass(t.Context())
		require.ErrorIs(t, err, gone)
		require.Equal(t, "written on AWS", p.object("acme/a"))
		require.Equal(t, "newer, at home on premises", p.read("a"))
	}
	left, err := os.ReadDir(p.dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary file is left")
}

func TestAFileThatChangesUnderADownloadIsNotReplaced(t *testing.T) {
	p := newPair(t)
	p.write("a", "old")
	p.final(migration.OnPrem)
	p.put("acme/a", "from AWS")
	j := p.job(migration.AWS)
	hit := false
	j.S3 = &onGet{API: p.s3, do: func() {
		if !hit {
			hit = true
			p.write("a", "written meanwhile")
		}
	}}
	r, err := j.Pass(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Conflicts, 1)
	require.Equal(t, "written meanwhile", p.read("a"))
}

type onGet struct {
	files.API
	do func()
}

func (g *onGet) GetObject(ctx context.Context, in *s3.GetObjectInput, o ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	g.do()
	return g.API.GetObject(ctx, in, o...)
}

func TestStrangersAreNamedAndNeverTouched(t *testing.T) {
	p := newPair(t)
	p.write("a", "ours")
	p.put("acme/foreign", "somebody else's")
	_, err := p.job(migration.OnPrem).Final(t.Context())
	var differ *files.NotEqualError
	require.ErrorAs(t, err, &differ)
	require.Len(t, differ.Differences, 1)
	require.Contains(t, differ.Differences[0], "foreign")
	require.Equal(t, "somebody else's", p.object("acme/foreign"))
}

func TestHostileKeysAndLinksLeadNowhere(t *testing.T) {
	p := newPair(t)
	p.write("a", "ours")
	p.final(migration.OnPrem)
	j := p.job(migration.AWS)
	for _, key := range []string{"acme/../../evil", "acme//etc/evil", "acme/x/../../evil", "acme/bell\x07"} {
		j.S3 = &extra{API: p.s3, key: key}
		r, err := j.Pass(t.Context())
		require.NoError(t, err)
		require.Len(t, r.Conflicts, 1, key)
		require.Contains(t, r.Conflicts[0], "cannot be carried: its key")
	}
	// A link made from a bucket's words, and a file below it.
	_, err := p.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &p.bucket, Key: aws.String("acme/out"),
		Body: strings.NewReader("/etc"), Metadata: map[string]string{
			"drover-sha256": "2824684de3d1a19390ca88cf826e77c6f750657e552edb83d466666c37521a08", "drover-mode": "777", "drover-mtime": "1",
			"drover-uid": "0", "drover-gid": "0", "drover-link": "%2Fetc"}})
	require.NoError(t, err)
	r := p.pass(migration.AWS)
	require.Len(t, r.Conflicts, 1)
	require.Contains(t, r.Conflicts[0], "leads out of the tree")
	require.NoFileExists(t, filepath.Join(p.dir, "out"))
	// A link that is there already is not followed out of the tree either.
	outside := t.TempDir()
	require.NoError(t, os.Symlink(outside, filepath.Join(p.dir, "way")))
	p.remove("acme/out")
	p.put("acme/way/in.txt", "hello")
	_, err = p.job(migration.AWS).Pass(t.Context())
	left, rerr := os.ReadDir(outside)
	require.NoError(t, rerr)
	require.Empty(t, left, "%v", err)
}

// extra adds a key to every listing.
type extra struct {
	files.API
	key string
}

func (e *extra) ListObjectsV2(ctx context.Context, in *s3.ListObjectsV2Input, o ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	out, err := e.API.ListObjectsV2(ctx, in, o...)
	if err == nil {
		key := strings.ReplaceAll(strings.ReplaceAll(e.key, "%", "%25"), "\x07", "%07")
		if out.EncodingType == "" {
			key = e.key
		}
		out.Contents = append(out.Contents, typesObject(key))
		slices.SortFunc(out.Contents, func(a, b types.Object) int { return strings.Compare(*a.Key, *b.Key) })
	}
	return out, err
}

func TestMetadataThatWasKeptWithOtherContentSaysNothing(t *testing.T) {
	p := newPair(t)
	p.write("a", "good content")
	p.final(migration.OnPrem)
	out, err := p.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &p.bucket, Key: aws.String("acme/a")})
	require.NoError(t, err)
	_, err = p.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &p.bucket, Key: aws.String("acme/a"),
		Body: bytes.NewReader([]byte("new content")), Metadata: out.Metadata})
	require.NoError(t, err)
	p.final(migration.AWS)
	require.Equal(t, "new content", p.read("a"))
}

func TestADamagedObjectIsNamedAndDoesNotReplaceItsFile(t *testing.T) {
	p := newPair(t)
	p.write("a", "good content")
	p.write("stays", "two")
	p.final(migration.OnPrem)
	require.NoError(t, os.Remove(filepath.Join(p.dir, "a")))
	j := p.job(migration.AWS)
	j.S3 = &flipped{API: p.s3}
	_, err := j.Final(t.Context())
	var differ *files.NotEqualError
	require.ErrorAs(t, err, &differ)
	require.Regexp(t, "^a: the (content|object) has SHA-256", differ.Differences[0])
	require.NoFileExists(t, filepath.Join(p.dir, "a"))
}

// flipped answers every object with a bit of it flipped, as a store might that does not check what
// it keeps.
type flipped struct{ files.API }

func (f *flipped) GetObject(ctx context.Context, in *s3.GetObjectInput, o ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	in.ChecksumMode = ""
	out, err := f.API.GetObject(ctx, in, o...)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(out.Body)
	if err != nil {
		return nil, err
	}
	b[0] ^= 1
	out.Body = io.NopCloser(bytes.NewReader(b))
	return out, nil
}

func TestAMissingFolderIsNotAnEmptyOne(t *testing.T) {
	for _, from := range []migration.Side{migration.OnPrem, migration.AWS} {
		t.Run("home is "+string(from), func(t *testing.T) {
			p := newPair(t)
			p.write("a", "one")
			p.final(migration.OnPrem)
			require.NoError(t, os.Rename(p.dir, p.dir+".unmounted"))
			if from == migration.AWS {
				p.put("acme/a", "changed on AWS")
			}
			_, err := p.job(from).Pass(t.Context())
			require.ErrorIs(t, err, files.ErrNoTree)
			_, err = p.job(from).Final(t.Context())
			require.ErrorIs(t, err, files.ErrNoTree)
			require.NoDirExists(t, p.dir, "what is made here is hidden as soon as the file system is mounted")
			require.Equal(t, []string{"acme/a"}, p.keys())

			require.NoError(t, os.Rename(p.dir+".unmounted", p.dir))
			p.final(from)
			require.Equal(t, p.object("acme/a"), p.read("a"), "with the folder back the pass goes on")
		})
	}
}

func TestAnEmptyFolderIsNotTakenForFilesThatWereDeleted(t *testing.T) {
	for _, from := range []migration.Side{migration.OnPrem, migration.AWS} {
		t.Run("home is "+string(from), func(t *testing.T) {
			p := newPair(t)
			p.write("a", "one")
			p.write("b/c", "two")
			p.final(migration.OnPrem)
			require.NoError(t, os.Rename(p.dir, p.dir+".elsewhere"))
			require.NoError(t, os.MkdirAll(filepath.Join(p.dir, "b"), 0o755)) // where a file system is to be mounted
			_, err := p.job(from).Pass(t.Context())
			require.ErrorIs(t, err, files.ErrNoTree)
			require.ElementsMatch(t, []string{"acme/a", "acme/b/c"}, p.keys())
			require.NoFileExists(t, filepath.Join(p.dir, "a"))

			require.NoError(t, os.RemoveAll(p.dir))
			require.NoError(t, os.Rename(p.dir+".elsewhere", p.dir))
			require.Zero(t, p.final(from).Deleted)
		})
	}
}

func TestFilesThatWereAllDeletedOnPurposeGoWhenSomebodySaysSo(t *testing.T) {
	p := newPair(t)
	p.write("a", "one")
	p.final(migration.OnPrem)
	require.NoError(t, os.Remove(filepath.Join(p.dir, "a")))
	_, err := p.job(migration.OnPrem).Final(t.Context())
	require.ErrorContains(t, err, "if all was deleted on purpose, make the folder with one empty file in it")
	p.write("none", "")
	p.final(migration.OnPrem)
	require.Equal(t, []string{"acme/none"}, p.keys())
}

func TestAFolderThatWasEmptiedAndWentMissingIsNotMadeAnew(t *testing.T) {
	p := newPair(t)
	p.write("a", "one")
	p.final(migration.OnPrem)
	p.remove("acme/a")
	p.final(migration.AWS)
	p.put("acme/b", "new on AWS")
	require.NoError(t, os.Rename(p.dir, p.dir+".unmounted"))
	for _, from := range []migration.Side{migration.OnPrem, migration.AWS} {
		_, err := p.job(from).Final(t.Context())
		require.ErrorIs(t, err, files.ErrNoTree, from)
	}
	require.NoDirExists(t, p.dir)
}

func TestTheFolderOfACustomerWithoutFilesIsMadeWhenTheFirstComeFromAWS(t *testing.T) {
	p := newPair(t)
	require.NoError(t, os.Remove(p.dir))
	require.Zero(t, p.final(migration.OnPrem).Objects)
	p.put("acme/deep/a", "one")
	require.EqualValues(t, 1, p.final(migration.AWS).Copied)
	require.Equal(t, "one", p.read("deep/a"))
}

func TestOfTwoPassesAtOnceOneYields(t *testing.T) {
	p := newPair(t)
	p.write("a", "one")
	j := p.job(migration.OnPrem)
	j.Allowed = func(context.Context) error { p.pass(migration.OnPrem); return nil }
	_, err := j.Pass(t.Context())
	require.ErrorIs(t, err, files.ErrManifest)
	require.Zero(t, p.final(migration.OnPrem).Copied)
}

func TestACustomerWithoutAFolderIsPassedOverAgainAndAgain(t *testing.T) {
	p := newPair(t)
	require.NoError(t, os.RemoveAll(p.dir))
	for range 2 {
		p.pass(migration.OnPrem)
		p.final(migration.OnPrem)
	}
	p.put("acme/a", "new on aws")
	p.final(migration.AWS)
	require.Equal(t, "new on aws", p.read("a"))
}

func TestTheApplicationCanWriteInFoldersThatCameBack(t *testing.T) {
	p := newPair(t)
	p.write("stays", "one")
	p.write("emptied/a", "two")
	require.NoError(t, os.Chmod(p.dir, 0o775|fs.ModeSetgid))
	owner := os.Geteuid()
	if owner == 0 {
		owner = 1234
		require.NoError(t, os.Chown(p.dir, owner, owner))
		require.NoError(t, os.Chmod(p.dir, 0o775|fs.ModeSetgid)) // chown takes setgid away
	}
	p.final(migration.OnPrem)
	p.remove("acme/emptied/a")
	for i := range 20 { // several at a time
		p.put(fmt.Sprintf("acme/deep/er/%d", i), "three")
	}
	p.final(migration.AWS)
	require.DirExists(t, filepath.Join(p.dir, "emptied"), "the application counts on its folders")
	for _, made := range []string{"deep", "deep/er"} {
		info, err := os.Stat(filepath.Join(p.dir, made))
		require.NoError(t, err)
		require.Equal(t, 0o775|fs.ModeSetgid|fs.ModeDir, info.Mode(), made)
		require.EqualValues(t, owner, info.Sys().(*syscall.Stat_t).Uid, made)
	}
}

func TestAFolderBecomesAFileOnItsWayHome(t *testing.T) {
	p := newPair(t)
	p.write("stays", "one")
	p.write("a/b/c", "two")
	p.final(migration.OnPrem)
	p.remove("acme/a/b/c")
	p.put("acme/a", "now a file")
	p.final(migration.AWS)
	require.Equal(t, "now a file", p.read("a"))

	// What is in the way and not of AWS is told, and what can be carried is.
	p.write("full/b", "three")
	p.write("file", "four")
	p.put("acme/full", "a folder on premises")
	p.put("acme/file/below", "below a file on premises")
	p.put("acme/z", "five")
	j := p.job(migration.AWS)
	r, err := j.Pass(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Conflicts, 2, "what is in the way is met")
	j.Verify = true
	r, err = j.Pass(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Conflicts, 4, "and what is only there is seen where somebody looks")
	require.Contains(t, r.Conflicts, "full: in its place is a folder with files in it")
	require.Contains(t, r.Conflicts, `file/below: its folder "file" is a file there`)
	require.Equal(t, "three", p.read("full/b"))
	require.Equal(t, "five", p.read("z"))
}

func TestAPermissionThatCameLateOverwritesNothing(t *testing.T) {
	p := newPair(t)
	p.write("a", "old")
	p.final(migration.OnPrem)
	p.put("acme/a", "from AWS")
	j := p.job(migration.AWS)
	// The answer is yes, and it is long on its way: the customer went home meanwhile, and its
	// application wrote there.
	j.Allowed = func(context.Context) error { p.write("a", "newer, at home on premises"); return nil }
	r, err := j.Pass(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Conflicts, 1)
	require.Equal(t, "newer, at home on premises", p.read("a"))
}

func TestWhatWasVerifiedBeforeAChangeIsVerifiedAnew(t *testing.T) {
	p := newPair(t)
	p.write("a", "one")
	p.final(migration.OnPrem)
	p.write("a", "two")
	require.EqualValues(t, 1, p.pass(migration.OnPrem).Verified)
}

func TestAVerificationThatIsCutOffIsNotBegunAgain(t *testing.T) {
	p := newPair(t)
	p.write("a", "one")
	p.write("b", "two")
	p.age()
	j := p.job(migration.OnPrem)
	j.Workers = 1
	j.S3 = &headless{API: p.s3, key: "acme/b"}
	_, err := j.Pass(t.Context())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	r := p.pass(migration.OnPrem)
	require.EqualValues(t, 1, r.Verified)
	require.Zero(t, r.Copied)
}

// headless is a store that gives no checksum with the answer to a put, and does not answer about
// one key in time.
type headless struct {
	files.API
	key string
}

func (h *headless) PutObject(ctx context.Context, in *s3.PutObjectInput, o ...func(*s3.Options)) (*s3.PutObjectOutput, error) {
	out, err := h.API.PutObject(ctx, in, o...)
	if err == nil {
		out.ChecksumSHA256 = nil
	}
	return out, err
}

func (h *headless) HeadObject(ctx context.Context, in *s3.HeadObjectInput, o ...func(*s3.Options)) (*s3.HeadObjectOutput, error) {
	if *in.Key == h.key {
		return nil, context.DeadlineExceeded
	}
	return h.API.HeadObject(ctx, in, o...)
}
