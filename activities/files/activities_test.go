package files_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/files/s3test"
)

func TestMain(m *testing.M) { os.Exit(s3test.Main(m, tooltest.Path("bin/versitygw"))) }

// objectStore is the object store beside the tests.
func objectStore(t *testing.T) *s3.Client {
	t.Helper()
	tooltest.Dir(t, "bin/versitygw")
	return s3test.Client(t)
}

type clients struct{ *s3.Client }

func (c clients) S3(context.Context, migration.Target) (*s3.Client, error) { return c.Client, nil }

// record is a home record that a test turns.
type record struct {
	migration.HomeRecord
	asked func() // unless nil: called when somebody asks
}

func (r *record) Home(ctx context.Context, _ string, _ migration.Dataset, _ migration.Target, _ int64) (migration.HomeRecord, error) {
	if r.asked != nil {
		r.asked()
	}
	return r.HomeRecord, ctx.Err()
}

type fixture struct {
	*files.Activities
	s3   *s3.Client
	home *record
	dir  string
	req  files.FilesRequest
}

func setup(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{s3: objectStore(t), dir: t.TempDir(),
		home: &record{HomeRecord: migration.HomeRecord{OnPrem: migration.SideRecord{State: migration.Open},
			AWS: migration.SideRecord{State: migration.Sealed}}}}
	name := strings.ToLower(rand.Text()[:12])
	for _, b := range []string{"files-" + name, "state-" + name} {
		_, err := f.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &b})
		require.NoError(t, err)
	}
	c := clients{f.s3}
	f.Activities = files.New(c, &objects.Store{S3: c.S3}, f.home)
	f.req = files.FilesRequest{
		Customer: migration.Customer{ID: "acme", Tenant: 17}, From: migration.OnPrem,
		Shelf: files.Shelf{Plan: "p", Fence: &migration.Dataset{Name: "orders"},
			State: migration.StateStore{Bucket: "state-" + name, Prefix: "drover"},
			Dataset: migration.Dataset{Name: "attachments",
				Files: &migration.Files{Path: filepath.Join(f.dir, "{customer}"), Bucket: "files-" + name, Prefix: "{customer}"}}},
	}
	require.NoError(t, os.Mkdir(filepath.Join(f.dir, "acme"), 0o755))
	f.write(t, "a.txt", "one")
	return f
}

func (f *fixture) write(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(f.dir, "acme", name), []byte(content), 0o600))
}

// fence is what a Move's fence makes of a record.
func (f *fixture) fence(token int64, owner string) {
	side := migration.SideRecord{State: migration.Fenced, Token: token, Owner: owner}
	if f.req.From == migration.AWS {
		f.home.AWS = side
	} else {
		f.home.OnPrem = side
	}
}

var errNoFence = errors.New("the fence of this try does not stand")

// final is the last pass, after a warm one, under a fence that stands or does not.
func (f *fixture) final(t *testing.T, warm, stands bool) (files.FilesResult, error) {
	t.Helper()
	p, err := files.NewPasses(f.Activities).Begin(t.Context(), f.req, warm)
	require.NoError(t, err)
	defer p.Close()
	if warm {
		require.Positive(t, p.Predicted())
	}
	f.fence(1, "me")
	return p.Final(t.Context(), fence(stands))
}

// last is the last pass without a warm one, and without a Move that turns the record.
func (f *fixture) last(t *testing.T, stands bool) (files.FilesResult, error) {
	t.Helper()
	p, err := files.NewPasses(f.Activities).Begin(t.Context(), f.req, false)
	require.NoError(t, err)
	defer p.Close()
	return p.Final(t.Context(), fence(stands))
}

// fence says whether that of a try stands.
func fence(stands bool) func(context.Context) error {
	return func(context.Context) error {
		if !stands {
			return errNoFence
		}
		return nil
	}
}

// carriedNothing wants that neither side has what it had not.
func (f *fixture) carriedNothing(t *testing.T) {
	t.Helper()
	l, err := f.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &f.req.Dataset.Files.Bucket})
	require.NoError(t, err)
	require.Empty(t, l.Contents)
	there, err := os.ReadDir(filepath.Join(f.dir, "acme"))
	require.NoError(t, err)
	require.Len(t, there, 1)
}

// request asks for a warm pass over the files of the fixture's customer and of others.
func (f *fixture) request(others ...string) files.PassFilesRequest {
	req := files.PassFilesRequest{Shelf: f.req.Shelf,
		Customers: []migration.Customer{f.req.Customer}}
	for _, id := range others {
		req.Customers = append(req.Customers, migration.Customer{ID: id})
	}
	return req
}

// pass makes a warm pass over the files of the fixture's customer.
func (f *fixture) pass(t *testing.T, a *files.Activities) files.PassFilesResult {
	t.Helper()
	r, err := a.PassFiles(t.Context(), f.request())
	require.NoError(t, err)
	return r
}

func TestWhatFailsForOneCustomerKeepsNoOtherFromItsPass(t *testing.T) {
	f := setup(t)
	require.NoError(t, os.Mkdir(filepath.Join(f.dir, "beta"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(f.dir, "beta", "b.txt"), []byte("four"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(f.dir, "gamma"), nil, 0o600), "a file where a folder is to be")
	r, err := f.PassFiles(t.Context(), f.request("gamma", "beta"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"acme", "beta", "gamma"}, r.Passed)
	require.EqualValues(t, 2, r.Copied)
	require.EqualValues(t, 7, r.Bytes)
	require.Equal(t, []string{"gamma"}, r.Unequal)
	require.Contains(t, r.Failures[0], `files of customer "gamma": `)
}

// A cut pass says whose turn is over, and who takes it up does not begin again with them.
func TestACutPassGoesOnWithWhoseTurnWasNotOver(t *testing.T) {
	f := setup(t)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(f.Activities)
	env.SetHeartbeatDetails(files.PassBeat{SoFar: files.PassFilesResult{Passed: []string{"beta"}, Copied: 5}})
	v, err := env.ExecuteActivity(f.PassFiles, f.request("beta"))
	require.NoError(t, err)
	var r files.PassFilesResult
	require.NoError(t, v.Get(&r))
	require.Equal(t, files.PassFilesResult{Passed: []string{"beta", "acme"}, Copied: 6, Bytes: 3}, r, "there is no tree of beta's to "+
		"fail over")

	ctx, cancel := context.WithCancel(t.Context())
	f.home.asked = cancel
	_, err = f.PassFiles(ctx, f.request())
	var cut *temporal.CanceledError
	require.ErrorAs(t, err, &cut)
	require.NoError(t, cut.Details(&r))
	require.Empty(t, r.Passed)
}

func kind(t *testing.T, err error) string {
	t.Helper()
	require.NotEmpty(t, permanent.Kind(err), "%v", err)
	return permanent.Kind(err)
}

func TestAWarmPassThenTheLastOneEachTwice(t *testing.T) {
	f := setup(t)
	for _, copied := range []int64{1, 0} {
		require.Equal(t, files.PassFilesResult{Passed: []string{"acme"}, Copied: copied, Bytes: 3}, f.pass(t, f.Activities))
	}
	f.write(t, "b.txt", "two")
	for _, copied := range []int64{1, 0} {
		r, err := f.final(t, false, true)
		require.NoError(t, err)
		require.Equal(t, copied, r.Copied)
		require.EqualValues(t, 2, r.Objects)
	}
	f.home.OnPrem = migration.SideRecord{State: migration.Open}
	r, err := f.final(t, true, false)
	require.NoError(t, err, "nothing is carried: nothing is asked")
	require.EqualValues(t, 2, r.Objects)
	_, err = f.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &f.req.Dataset.Files.Bucket, Key: aws.String("acme/b.txt")})
	require.NoError(t, err)
}

func TestAPassAwayFromAnywhereButHomeIsRefused(t *testing.T) {
	f := setup(t)
	f.req.From = migration.AWS
	_, err := files.NewPasses(f.Activities).Begin(t.Context(), f.req, true)
	require.Equal(t, "NotHome", kind(t, err))
	require.FileExists(t, filepath.Join(f.dir, "acme", "a.txt"))
}

// Which side has the truth is nobody's to guess where both are open: neither is written to.
func TestNoPassTouchesFilesOfWhoseDataNamesNoHome(t *testing.T) {
	f := setup(t)
	f.home.AWS = migration.SideRecord{State: migration.Open, Token: 1}
	f.home.OnPrem = migration.SideRecord{State: migration.Open, Token: 2}
	const why = "its data names no home, and no pass touches it: "
	r := f.pass(t, f.Activities)
	require.Equal(t, []string{"acme"}, r.Unequal)
	require.Len(t, r.Failures, 1)
	require.Contains(t, r.Failures[0], why)
	for _, from := range []migration.Side{migration.OnPrem, migration.AWS} {
		f.req.From = from
		_, err := files.NewPasses(f.Activities).Begin(t.Context(), f.req, true)
		require.ErrorContains(t, err, why)
		require.Empty(t, permanent.Kind(err), "it is tried again: somebody settles it")
		_, err = f.last(t, false)
		require.ErrorIs(t, err, errNoFence, "no fence stands where both sides are open")
	}
	f.carriedNothing(t)

	// Both are found open in the middle of a pass.
	f.req.From = migration.OnPrem
	f.home.AWS, f.home.OnPrem = migration.SideRecord{State: migration.Sealed}, migration.SideRecord{State: migration.Open}
	c := clients{f.s3}
	a := files.New(c, turning{&objects.Store{S3: c.S3}, func() { f.home.AWS = migration.SideRecord{State: migration.Open} }}, f.home)
	r = f.pass(t, a)
	require.Len(t, r.Failures, 1)
	require.Contains(t, r.Failures[0], why)
	f.carriedNothing(t)
}

func TestAWarmPassYieldsToAMove(t *testing.T) {
	f := setup(t)
	f.fence(1, "me")
	r := f.pass(t, f.Activities)
	require.Equal(t, []string{"acme"}, r.Unequal)
	require.Equal(t, []string{`files of customer "acme": a Move has begun: this pass yields to it`}, r.Failures)
}

func TestTheLastPassNeedsItsOwnFence(t *testing.T) {
	f := setup(t)
	_, err := f.final(t, false, false)
	require.ErrorIs(t, err, errNoFence)
	_, err = files.NewPasses(f.Activities).Begin(t.Context(), f.req, true)
	require.ErrorContains(t, err, "yields", "a warm pass under a fence is none")
	l, err := f.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &f.req.Dataset.Files.Bucket})
	require.NoError(t, err)
	require.Empty(t, l.Contents)
}

// turning is a state bucket that is slower than an answer of the home record is used for, and turns
// the record meanwhile.
type turning struct {
	files.State
	turn func()
}

func (o turning) Get(ctx context.Context, at migration.StateStore, target migration.Target, key string) ([]byte, string, error) {
	time.Sleep(100 * time.Millisecond)
	o.turn()
	return o.State.Get(ctx, at, target, key)
}

func TestAPassThatLosesItsRightOnTheWayCarriesNothing(t *testing.T) {
	f := setup(t)
	c := clients{f.s3}
	during := func(turn func()) *files.Activities {
		return files.New(c, turning{&objects.Store{S3: c.S3}, turn}, f.home)
	}
	r := f.pass(t, during(func() { f.home.OnPrem.State, f.home.AWS.State = migration.Sealed, migration.Open }))
	require.Len(t, r.Failures, 1)
	require.Contains(t, r.Failures[0], "its home is aws")
	l, err := f.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &f.req.Dataset.Files.Bucket})
	require.NoError(t, err)
	require.Empty(t, l.Contents)
}

func TestAStrangerStopsTheLastPassForGood(t *testing.T) {
	f := setup(t)
	_, err := f.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &f.req.Dataset.Files.Bucket, Key: aws.String("acme/foreign"),
		Body: strings.NewReader("x")})
	require.NoError(t, err)
	_, err = files.NewPasses(f.Activities).Begin(t.Context(), f.req, true)
	require.Equal(t, "FilesDiffer", kind(t, err), "before the fence")
	r, err := f.final(t, false, true)
	require.Equal(t, "FilesDiffer", kind(t, err))
	require.Len(t, r.Conflicts, 1)
}

func TestTheCheckNamesEverythingAtOnce(t *testing.T) {
	f := setup(t)
	require.NoError(t, os.WriteFile(filepath.Join(f.dir, "acme", "bell\a"), nil, 0o600))
	r, err := f.CheckFiles(t.Context(), files.CheckFilesRequest{Dataset: f.req.Dataset,
		Customers: []migration.Customer{{ID: "acme"}, {ID: "nobody"}}})
	require.NoError(t, err)
	var checks []string
	for _, x := range r.Findings {
		checks = append(checks, string(x.Severity)+" "+x.Check)
	}
	require.Equal(t, []string{"warning files-bucket-versioning", "blocker files-carried", "warning files-folder"}, checks)
	for _, x := range r.Findings {
		require.NotEmpty(t, x.Remedy, x.Check)
	}
	require.Equal(t, "files of customer acme", r.Findings[1].Subject)
	gone := *f.req.Dataset.Files
	gone.Bucket = "nowhere"
	r, err = f.CheckFiles(t.Context(), files.CheckFilesRequest{Dataset: migration.Dataset{Name: "attachments", Files: &gone}})
	require.NoError(t, err)
	require.Equal(t, "files-bucket", r.Findings[0].Check)
}
