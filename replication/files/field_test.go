package files_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/files"
)

func (p *pair) head(name string) *s3.HeadObjectOutput {
	p.t.Helper()
	out, err := p.s3.HeadObject(p.t.Context(), &s3.HeadObjectInput{Bucket: &p.bucket, Key: aws.String("acme/" + name)})
	require.NoError(p.t, err)
	return out
}

// asNobody runs do as a user whom permissions bind. The tree becomes that user's.
func (p *pair) asNobody(do func()) {
	p.t.Helper()
	if os.Geteuid() != 0 {
		do()
		return
	}
	const nobody = 65534
	for d := filepath.Dir(p.dir); d != filepath.Dir(d); d = filepath.Dir(d) { // the user has to get there
		if st, err := os.Stat(d); err == nil && st.Mode().Perm()&1 == 0 {
			require.NoError(p.t, os.Chmod(d, st.Mode().Perm()|0o111))
		}
	}
	require.NoError(p.t, filepath.WalkDir(p.dir, func(at string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(at, nobody, nobody)
	}))
	require.NoError(p.t, syscall.Setresuid(-1, nobody, -1))
	defer func() { require.NoError(p.t, syscall.Setresuid(-1, 0, -1)) }()
	do()
}

func (p *pair) chmod(name string, mode fs.FileMode) {
	p.t.Helper()
	at := filepath.Join(p.dir, name)
	require.NoError(p.t, os.Chmod(at, mode))
	p.t.Cleanup(func() { _ = os.Chmod(at, 0o755) })
}

func TestABrowserIsToldTheTypeThatANameSays(t *testing.T) {
	p := newPair(t)
	want := map[string]string{
		"logo.png": "image/png", "page.HTML": "text/html", "deep/invoice.pdf": "application/pdf", "a.tar.gz": "application/gzip",
		// what the store says itself; S3's begins with binary/
		"none": "application/octet-stream", "of.unknownkind": "application/octet-stream",
	}
	for name := range want {
		p.write(name, "x")
	}
	p.write("long.mp4", strings.Repeat("x", 6<<20))
	want["long.mp4"] = "video/mp4"
	p.final(migration.OnPrem)
	for name, kind := range want {
		require.Equal(t, kind, aws.ToString(p.head(name).ContentType), name)
	}
}

func TestWhatAnObjectSaysOfItselfStaysOverARoundTrip(t *testing.T) {
	p := newPair(t)
	p.write("a", "x")
	p.final(migration.OnPrem)
	in := &s3.PutObjectInput{
		Bucket: &p.bucket, Key: aws.String("acme/new"), Body: strings.NewReader("png"), ContentType: aws.String("image/png"),
		CacheControl: aws.String("max-age=60"), ContentDisposition: aws.String(`attachment; filename="x.png"`),
		Metadata: map[string]string{"uploader": "17"},
	}
	_, err := p.s3.PutObject(t.Context(), in)
	require.NoError(t, err)
	p.final(migration.AWS)
	p.write("new", "another picture")
	p.final(migration.OnPrem)
	require.Equal(t, "another picture", p.object("acme/new"))
	now := p.head("new")
	require.Equal(t, in.ContentType, now.ContentType)
	require.Equal(t, in.CacheControl, now.CacheControl)
	require.Equal(t, in.ContentDisposition, now.ContentDisposition)
	require.Equal(t, "17", now.Metadata["uploader"])
}

func TestAFileFromTheFutureIsNotReadAgainInEveryPass(t *testing.T) {
	p := newPair(t)
	p.write("photo", "x")
	require.NoError(t, os.Chtimes(filepath.Join(p.dir, "photo"), time.Time{}, time.Now().Add(365*24*time.Hour)))
	p.final(migration.OnPrem)
	p.age()
	p.pass(migration.OnPrem)
	require.Zero(t, p.final(migration.OnPrem).Verified, "its last change is old by its ctime")
}

func TestATimeBeyondAnInt64OfNanosecondsIsKept(t *testing.T) {
	p := newPair(t)
	p.write("stays", "x")
	p.write("far", "x")
	at := filepath.Join(p.dir, "far")
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: 10_413_792_000, Nsec: 7}} // 2300: int64 ends in 2262
	require.NoError(t, unix.UtimesNanoAt(unix.AT_FDCWD, at, times, 0))
	before, err := os.Stat(at) // a file system may keep less
	require.NoError(t, err)
	p.final(migration.OnPrem)
	require.NoError(t, os.Remove(at))
	p.final(migration.AWS)
	after, err := os.Stat(at)
	require.NoError(t, err)
	require.Equal(t, before.ModTime().Unix(), after.ModTime().Unix())
	require.Equal(t, before.ModTime().Nanosecond(), after.ModTime().Nanosecond())
}

func TestEverythingThatCannotBeReadOrWrittenIsNamedBeforehand(t *testing.T) {
	p := newPair(t)
	for _, name := range []string{"fine/a", "ro/a", "ro2/a", "secret", "fine/secret2", "closed/a"} {
		p.write(name, "x")
	}
	p.chmod("secret", 0)
	p.chmod("fine/secret2", 0)
	p.chmod("ro", 0o555)
	p.chmod("ro2", 0o555)
	p.chmod("closed", 0)
	p.asNobody(func() {
		found, err := files.Survey(t.Context(), p.dir, "acme/")
		require.NoError(t, err)
		all := strings.Join(found, "\n")
		require.Len(t, found, 5, all)
		for _, want := range []string{`"secret" cannot be read`, `"fine/secret2" cannot be read`, `"closed/" cannot be carried`} {
			require.Contains(t, all, want)
		}
		for _, want := range []string{"ro", "ro2"} {
			require.Contains(t, all, fmt.Sprintf("folder %q cannot be written", filepath.Join(p.dir, want)))
		}
		missing := filepath.Join(p.dir, "ro", "nobody's")
		found, err = files.Survey(t.Context(), missing, "nobody/")
		require.NoError(t, err)
		require.Contains(t, found[0], "cannot be made for files that come back")
		_, err = files.Survey(t.Context(), filepath.Join(p.dir, "fine", "nobody's"), "nobody/")
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
}

// A share that was mounted read-only tells of no permission that is missing.
func TestAFolderThatIsMountedReadOnlyIsNamedBeforehand(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("drover-test", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mounting is not allowed here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	require.NoError(t, os.Mkdir(filepath.Join(dir, "acme"), 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "acme", "a"), []byte("x"), 0o666))
	found, err := files.Survey(t.Context(), filepath.Join(dir, "acme"), "acme/")
	require.NoError(t, err)
	require.Empty(t, found)
	require.NoError(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	for name, says := range map[string]string{"acme": "cannot be written", "nobody's": "cannot be made for files that come back"} {
		found, err = files.Survey(t.Context(), filepath.Join(dir, name), name+"/")
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Contains(t, found[0], says)
		require.Contains(t, found[0], "read-only file system")
	}
}

func TestWhatCannotBeReadIsNamedAndTheRestIsCarried(t *testing.T) {
	p := newPair(t)
	for i := range 30 {
		p.write(fmt.Sprintf("f%02d", i), "x")
	}
	p.write("closed/a", "kept")
	p.final(migration.OnPrem)
	p.write("f07", "not to be read")
	p.write("f08", "new content")
	p.chmod("f07", 0)
	p.chmod("closed", 0)
	p.asNobody(func() {
		r := p.pass(migration.OnPrem)
		require.Len(t, r.Conflicts, 2)
		require.Contains(t, strings.Join(r.Conflicts, "\n"), "closed/: cannot be carried: the folder cannot be read")
		require.Contains(t, strings.Join(r.Conflicts, "\n"), "f07: ")
		_, err := p.job(migration.OnPrem).Warm(t.Context())
		var differ *files.NotEqualError
		require.ErrorAs(t, err, &differ, "it is said before the fence")
		require.Len(t, differ.Differences, 2)
	})
	require.Equal(t, "new content", p.object("acme/f08"))
	require.Equal(t, "kept", p.object("acme/closed/a"), "what cannot be seen is not taken for deleted")
}

func TestWhatCannotBeWrittenIsNamedAndTheRestComesHome(t *testing.T) {
	p := newPair(t)
	for _, name := range []string{"a", "ro/b", "z"} {
		p.write(name, "x")
	}
	p.final(migration.OnPrem)
	for _, name := range []string{"a", "ro/b", "z"} {
		p.put("acme/"+name, "from AWS")
	}
	p.chmod("ro", 0o555)
	p.asNobody(func() {
		_, err := p.job(migration.AWS).Final(t.Context())
		var differ *files.NotEqualError
		require.ErrorAs(t, err, &differ)
		require.Len(t, differ.Differences, 1)
		require.Contains(t, differ.Differences[0], "ro/b: ")
		require.Equal(t, "from AWS", p.read("a"))
		require.Equal(t, "from AWS", p.read("z"))
	})
}

// A disk that is full, or a limit of a file's size, keeps one file from home and not the others.
// What is there stays whole.
func TestAFileForWhichThereIsNoRoomIsNamedAndTheRestComesHome(t *testing.T) {
	const room = 1 << 20
	for _, x := range []struct {
		name, says string
		prepare    func(p *pair) (more func()) // more lifts the limit; nil: it cannot be had here
	}{
		{"a disk that is full", "no space left on device", func(p *pair) func() {
			if err := unix.Mount("drover-test", p.dir, "tmpfs", 0, fmt.Sprintf("size=%d", room)); err != nil {
				return nil
			}
			p.t.Cleanup(func() { require.NoError(p.t, unix.Unmount(p.dir, 0)) })
			return func() {
				require.NoError(p.t, unix.Mount("", p.dir, "", unix.MS_REMOUNT, fmt.Sprintf("size=%d", 64*room)))
			}
		}},
		{"a limit of a file's size", "file too large", func(p *pair) func() {
			var was unix.Rlimit
			require.NoError(p.t, unix.Getrlimit(unix.RLIMIT_FSIZE, &was))
			require.NoError(p.t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: room, Max: was.Max}))
			lift := sync.OnceFunc(func() { require.NoError(p.t, unix.Setrlimit(unix.RLIMIT_FSIZE, &was)) })
			p.t.Cleanup(lift)
			return lift
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := newPair(t)
			more := x.prepare(p)
			if more == nil {
				t.Skip("mounting is not allowed here: the other case stands for it")
			}
			for _, name := range []string{"a", "big", "gone", "long", "z"} {
				p.write(name, "x")
			}
			p.final(migration.OnPrem)
			big, long := strings.Repeat("b", 2*room), strings.Repeat("l", 6*room) // the second in parts
			p.put("acme/big", big)
			p.put("acme/long", long)
			p.remove("acme/gone")
			for _, name := range []string{"a", "z"} {
				p.put("acme/"+name, "") // which needs no room
			}
			_, err := p.job(migration.AWS).Final(t.Context())
			var differ *files.NotEqualError
			require.ErrorAs(t, err, &differ)
			require.Len(t, differ.Differences, 2)
			for i, name := range []string{"big", "long"} {
				require.Contains(t, differ.Differences[i], name+": it cannot be written on premises: ")
				require.Contains(t, differ.Differences[i], x.says)
			}
			require.Equal(t, map[string]string{"a": "", "big": "x", "long": "x", "z": ""}, p.here(), "nothing is there in halves")

			more()
			r := p.final(migration.AWS)
			require.EqualValues(t, 2, r.Copied)
			require.Equal(t, map[string]string{"a": "", "big": big, "long": long, "z": ""}, p.here())
		})
	}
}

// repeating is a network that loses the answer to each conditional write: the client sends it
// again.
type repeating struct{ files.API }

func (r *repeating) PutObject(ctx context.Context, in *s3.PutObjectInput, o ...func(*s3.Options)) (*s3.PutObjectOutput, error) {
	if _, err := r.API.PutObject(ctx, in, o...); err != nil {
		return nil, err
	}
	if _, err := in.Body.(io.Seeker).Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return r.API.PutObject(ctx, in, o...)
}

func (r *repeating) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput,
	o ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error) {
	if _, err := r.API.CompleteMultipartUpload(ctx, in, o...); err != nil {
		return nil, err
	}
	return r.API.CompleteMultipartUpload(ctx, in, o...)
}

func TestAWriteWhoseAnswerWasLostIsOurOwn(t *testing.T) {
	p := newPair(t)
	p.write("a", "one")
	p.write("long", strings.Repeat("x", 6<<20))
	j := p.job(migration.OnPrem)
	j.S3 = &repeating{p.s3}
	for _, content := range []string{"one", "two"} {
		p.write("a", content)
		r, err := j.Final(t.Context())
		require.NoError(t, err)
		require.Empty(t, r.Conflicts)
		require.Equal(t, content, p.object("acme/a"))
	}
	p.age()
	p.pass(migration.OnPrem)
	require.Zero(t, p.final(migration.OnPrem).Verified, "both are known to be equal")
}

// dying is a worker that is killed when it sends a part.
type dying struct {
	files.API
	at   int32
	kill func()
}

func (d *dying) UploadPart(ctx context.Context, in *s3.UploadPartInput, o ...func(*s3.Options)) (*s3.UploadPartOutput, error) {
	if *in.PartNumber >= d.at {
		d.kill()
		return nil, context.Canceled
	}
	return d.API.UploadPart(ctx, in, o...)
}

// killed leaves an upload in parts of which at least three were sent.
func (p *pair) killed(name string) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	sent := make(chan struct{}, 100)
	j := p.job(migration.OnPrem)
	j.S3 = &dying{API: &told{p.s3, sent}, at: 4, kill: sync.OnceFunc(func() {
		for range 3 {
			<-sent
		}
		cancel()
	})}
	_, err := j.Pass(ctx)
	require.ErrorIs(p.t, err, context.Canceled)
	require.Equal(p.t, []string{"acme/" + name}, p.uploads())
}

// told tells of each part that was sent.
type told struct {
	files.API
	sent chan struct{}
}

func (s *told) UploadPart(ctx context.Context, in *s3.UploadPartInput, o ...func(*s3.Options)) (*s3.UploadPartOutput, error) {
	out, err := s.API.UploadPart(ctx, in, o...)
	s.sent <- struct{}{}
	return out, err
}

func (p *pair) uploads() (out []string) {
	p.t.Helper()
	l, err := p.s3.ListMultipartUploads(p.t.Context(), &s3.ListMultipartUploadsInput{Bucket: &p.bucket})
	require.NoError(p.t, err)
	for _, u := range l.Uploads {
		out = append(out, *u.Key)
	}
	return out
}

func (p *pair) long(name string) {
	p.t.Helper()
	b := make([]byte, 33<<20)
	_, _ = rand.Read(b)
	p.write(name, string(b))
}

func TestALongUploadThatWasCutOffIsGoneOnWith(t *testing.T) {
	p := newPair(t)
	p.long("film")
	p.killed("film")
	c := &counting{API: p.s3}
	j := p.job(migration.OnPrem)
	j.S3 = c
	r, err := j.Final(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Copied)
	require.LessOrEqual(t, c.calls["part"], 4, "of seven parts three were there")
	require.True(t, p.object("acme/film") == p.read("film"))
	require.Empty(t, p.uploads())
}

func TestTheUploadOfAKilledWorkerThatNobodyNeedsIsRemoved(t *testing.T) {
	for what, change := range map[string]func(*pair){
		"the file changed":   func(p *pair) { p.long("film") },
		"it became short":    func(p *pair) { p.write("film", "short") },
		"the file is gone":   func(p *pair) { require.NoError(p.t, os.Remove(filepath.Join(p.dir, "film"))) },
		"somebody completed": func(p *pair) { p.abort() },
	} {
		t.Run(what, func(t *testing.T) {
			p := newPair(t)
			p.write("stays", "x")
			p.long("film")
			p.killed("film")
			change(p)
			p.final(migration.OnPrem)
			require.Empty(t, p.uploads())
			for _, name := range p.keys() {
				require.True(t, p.object(name) == p.read(strings.TrimPrefix(name, "acme/")))
			}
		})
	}
}

func (p *pair) abort() {
	p.t.Helper()
	l, err := p.s3.ListMultipartUploads(p.t.Context(), &s3.ListMultipartUploadsInput{Bucket: &p.bucket})
	require.NoError(p.t, err)
	for _, u := range l.Uploads {
		_, err := p.s3.AbortMultipartUpload(p.t.Context(),
			&s3.AbortMultipartUploadInput{Bucket: &p.bucket, Key: u.Key, UploadId: u.UploadId})
		require.NoError(p.t, err)
	}
}

// onPart does something when the first part is sent.
type onPart struct {
	files.API
	once atomic.Bool
	do   func()
}

func (o *onPart) UploadPart(ctx context.Context, in *s3.UploadPartInput, opts ...func(*s3.Options)) (*s3.UploadPartOutput, error) {
	if o.once.CompareAndSwap(false, true) {
		o.do()
	}
	return o.API.UploadPart(ctx, in, opts...)
}

func TestAFileThatChangesWhileItIsCarriedIsTriedAgain(t *testing.T) {
	p := newPair(t)
	p.long("film")
	j := p.job(migration.OnPrem)
	j.S3 = &onPart{API: p.s3, do: func() {
		f, err := os.OpenFile(filepath.Join(p.dir, "film"), os.O_WRONLY|os.O_APPEND, 0)
		require.NoError(t, err)
		_, err = f.WriteString("the end")
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}}
	r, err := j.Pass(t.Context())
	require.NoError(t, err)
	require.Empty(t, r.Conflicts)
	require.True(t, strings.HasSuffix(p.object("acme/film"), "the end"))
	require.True(t, p.object("acme/film") == p.read("film"))
	require.Empty(t, p.uploads())
}

// refusing is a store whose host refuses connections.
type refusing struct{ asked atomic.Int32 }

func (r *refusing) Do(*http.Request) (*http.Response, error) {
	r.asked.Add(1)
	return nil, &os.SyscallError{Syscall: "connect", Err: syscall.ECONNREFUSED}
}

func TestAStoreThatRefusesConnectionsEndsTheLastPassAtOnce(t *testing.T) {
	p := newPair(t)
	p.write("a", "one")
	down := &refusing{}
	use := p.s3.Options().HTTPClient
	j := p.job(migration.OnPrem)
	j.S3 = s3.New(p.s3.Options(), func(o *s3.Options) {
		o.HTTPClient = switched(func(r *http.Request) (*http.Response, error) { return use.Do(r) })
	})
	run, err := j.Warm(t.Context())
	require.NoError(t, err)
	defer run.Close()
	p.write("a", "two")
	use = down
	_, err = run.Final(t.Context(), allow)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.EqualValues(t, 1, down.asked.Load())
	_, err = j.Warm(t.Context())
	require.ErrorIs(t, err, syscall.ECONNREFUSED, "and the next try does not come to its fence")
}

type switched func(*http.Request) (*http.Response, error)

func (s switched) Do(r *http.Request) (*http.Response, error) { return s(r) }
