package objects_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/objects"
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

var target = migration.Target{Name: "main"}

func over(c *s3.Client) *objects.Store {
	return &objects.Store{S3: func(context.Context, migration.Target) (*s3.Client, error) { return c, nil }}
}

// bucket is a new one on a real store.
func bucket(t *testing.T) (*objects.Store, migration.StateStore) {
	t.Helper()
	c := objectStore(t)
	at := migration.StateStore{Bucket: "state-" + strings.ToLower(rand.Text()[:12]), Prefix: "drover"}
	_, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &at.Bucket})
	require.NoError(t, err)
	return over(c), at
}

func TestWhatWasPutIsGotWithItsETag(t *testing.T) {
	s, at := bucket(t)
	put, err := s.Put(t.Context(), at, target, "plans/p/x.json", []byte("one"), "")
	require.NoError(t, err)
	body, got, err := s.Get(t.Context(), at, target, "plans/p/x.json")
	require.NoError(t, err)
	require.Equal(t, "one", string(body))
	require.Equal(t, put, got, "the next Put's condition")
	require.NotEmpty(t, got)

	raw, err := objectStore(t).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &at.Bucket, Key: aws.String("drover/plans/p/x.json")})
	require.NoError(t, err, "it lies below the store's prefix")
	require.EqualValues(t, 3, *raw.ContentLength)
	other := at
	other.Prefix = ""
	_, _, err = s.Get(t.Context(), other, target, "plans/p/x.json")
	require.ErrorIs(t, err, objects.ErrNotFound)
}

func TestAnObjectThatIsNotThereIsNotFoundByName(t *testing.T) {
	s, at := bucket(t)
	_, _, err := s.Get(t.Context(), at, target, "plans/p/x.json")
	require.ErrorIs(t, err, objects.ErrNotFound)
	require.EqualError(t, err, "read s3://"+at.Bucket+"/drover/plans/p/x.json: no such object")
}

func TestAPutHoldsOnlyOnItsCondition(t *testing.T) {
	for _, c := range []struct {
		name      string
		condition func(first, second string) string // of ETags that the object had, in order; the second is its present one
		want      error
	}{
		{"that the object does not exist", func(string, string) string { return "" }, objects.ErrConflict},
		{"that it is as it was before", func(first, _ string) string { return first }, objects.ErrConflict},
		{"that it is as it is", func(_, second string) string { return second }, nil},
		{"none", func(string, string) string { return objects.Any }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, at := bucket(t)
			first, err := s.Put(t.Context(), at, target, "k", []byte("one"), "")
			require.NoError(t, err)
			second, err := s.Put(t.Context(), at, target, "k", []byte("two"), first)
			require.NoError(t, err)
			third, err := s.Put(t.Context(), at, target, "k", []byte("three"), c.condition(first, second))
			require.ErrorIs(t, err, c.want)
			body, now, err := s.Get(t.Context(), at, target, "k")
			require.NoError(t, err)
			if c.want == nil {
				require.Equal(t, "three", string(body))
				require.Equal(t, third, now)
			} else {
				require.Equal(t, "two", string(body), "a write that was refused leaves what was there")
				require.Equal(t, second, now)
			}
		})
	}
}

// The client sends a request again whose answer was lost. Its condition does not hold any more, by
// its own doing.
func TestAPutWhoseAnswerWasLostIsOurOwn(t *testing.T) {
	s, at := bucket(t)
	first, err := s.Put(t.Context(), at, target, "k", []byte("one"), "")
	require.NoError(t, err)
	again, err := s.Put(t.Context(), at, target, "k", []byte("one"), "")
	require.NoError(t, err)
	require.Equal(t, first, again)
	second, err := s.Put(t.Context(), at, target, "k", []byte("two"), first)
	require.NoError(t, err)
	again, err = s.Put(t.Context(), at, target, "k", []byte("two"), first)
	require.NoError(t, err)
	require.Equal(t, second, again)
}

func TestWhatIsRemovedIsGoneAndStaysSo(t *testing.T) {
	s, at := bucket(t)
	_, err := s.Put(t.Context(), at, target, "k", []byte("one"), "")
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, s.Remove(t.Context(), at, target, "k"))
		_, _, err = s.Get(t.Context(), at, target, "k")
		require.ErrorIs(t, err, objects.ErrNotFound)
	}
}

func TestOfPutsAtOnceOneHolds(t *testing.T) {
	s, at := bucket(t)
	first, err := s.Put(t.Context(), at, target, "k", []byte("one"), "")
	require.NoError(t, err)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = s.Put(t.Context(), at, target, "k", fmt.Append(nil, "worker ", i), first) })
	}
	wg.Wait()
	won := -1
	for i, err := range errs {
		if err == nil {
			require.Equal(t, -1, won, "workers %d and %d both hold it", won, i)
			won = i
			continue
		}
		require.ErrorIs(t, err, objects.ErrConflict)
	}
	body, _, err := s.Get(t.Context(), at, target, "k")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint("worker ", won), string(body))
}

// answering is a store that gives every request one answer of S3, and tells what it was asked.
func answering(t *testing.T, status int, code string) (*objects.Store, func() http.Header) {
	t.Helper()
	var asked http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Clone()
		w.WriteHeader(status)
		if code != "" {
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>said so</Message></Error>", code)
		}
	}))
	t.Cleanup(srv.Close)
	c := s3.New(s3.Options{Region: "us-east-1", UsePathStyle: true, BaseEndpoint: &srv.URL,
		Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""), RetryMaxAttempts: 1})
	return over(c), func() http.Header { return asked }
}

func TestWhatS3IsAskedFor(t *testing.T) {
	for _, c := range []struct{ name, condition, ifNoneMatch, ifMatch string }{
		{"not to exist", "", "*", ""},
		{"anything", objects.Any, "", ""},
		{"a version", `"etag"`, "", `"etag"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, asked := answering(t, 200, "")
			_, err := s.Put(t.Context(), migration.StateStore{Bucket: "b"}, target, "k", []byte("x"), c.condition)
			require.NoError(t, err)
			require.Equal(t, c.ifNoneMatch, asked().Get("If-None-Match"))
			require.Equal(t, c.ifMatch, asked().Get("If-Match"))
			require.NotEmpty(t, asked().Get("X-Amz-Checksum-Sha256"), "S3 checks what arrives")
		})
	}
}

func TestWhatS3AnswersIsToldApart(t *testing.T) {
	at := migration.StateStore{Bucket: "b", Prefix: "p"}
	for _, c := range []struct {
		code   string
		status int
		want   error
		text   string
	}{
		{"NoSuchKey", 404, objects.ErrNotFound, "write s3://b/p/k: no such object"}, // If-Match of an object that was deleted
		{"PreconditionFailed", 412, objects.ErrConflict, "write s3://b/p/k: the object was changed by somebody else"},
		{"ConditionalRequestConflict", 409, objects.ErrConflict, "write s3://b/p/k: the object was changed by somebody else"},
		{"NoSuchBucket", 404, nil, "create it, versioned, before the plan is submitted"},
		{"AccessDenied", 403, nil, "AccessDenied: said so"},
		{"SlowDown", 503, nil, "SlowDown"},
	} {
		t.Run(c.code, func(t *testing.T) {
			s, _ := answering(t, c.status, c.code)
			_, err := s.Put(t.Context(), at, target, "k", nil, `"etag"`)
			require.ErrorContains(t, err, c.text)
			for _, kind := range []error{objects.ErrNotFound, objects.ErrConflict} {
				require.Equal(t, errors.Is(c.want, kind), errors.Is(err, kind), "%v", err)
			}
			require.Equal(t, c.code == "AccessDenied" || c.code == "NoSuchBucket", objects.Refused(err))
			_, _, err = s.Get(t.Context(), at, target, "k")
			require.ErrorContains(t, err, "read s3://b/p/k: ")
		})
	}
}

func TestATargetWithoutAClientIsItsOwnError(t *testing.T) {
	broken := errors.New("no credentials")
	s := &objects.Store{S3: func(context.Context, migration.Target) (*s3.Client, error) { return nil, broken }}
	_, _, err := s.Get(t.Context(), migration.StateStore{}, target, "k")
	require.ErrorIs(t, err, broken)
	_, err = s.Put(t.Context(), migration.StateStore{}, target, "k", nil, "")
	require.ErrorIs(t, err, broken)
}
