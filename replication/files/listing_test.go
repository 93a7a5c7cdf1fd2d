package files

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// answering is an S3 that answers every request alike.
type answering struct {
	status int
	body   io.Reader
}

func (a answering) Do(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(a.body)}, nil
}

func listFrom(t *testing.T, status int, body io.Reader, how ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	t.Helper()
	c := s3.New(s3.Options{Region: "r", HTTPClient: answering{status, body}, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	return c.ListObjectsV2(context.Background(), &s3.ListObjectsV2Input{Bucket: aws.String("b")}, how...)
}

// page is an answer as S3 writes it, with everything that it may say of an object.
func page(objects int, more string) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` +
		`<Name>b</Name><Prefix/><Delimiter></Delimiter><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType>` + more)
	for i := range objects {
		fmt.Fprintf(&b, "\n  <Contents><Key>acme/a%%20&amp;&#x263a;%d</Key><LastModified>2026-11-29T05:00:00.000Z</LastModified>"+
			"<ETag>&quot;%032x&quot;</ETag><ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"+
			"<Size>%d</Size><StorageClass>STANDARD</StorageClass><Owner><ID>Key</ID><DisplayName>Size</DisplayName></Owner>"+
			"<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus></Contents>", i, i, i)
	}
	b.WriteString("<CommonPrefixes><Prefix>Contents/</Prefix></CommonPrefixes></ListBucketResult>\n")
	return b.String()
}

func TestAListingIsDecodedAsTheSDKDecodesIt(t *testing.T) {
	for name, body := range map[string]string{
		"one page":       page(3, "<KeyCount>3</KeyCount><IsTruncated>false</IsTruncated>"),
		"one of several": page(2, "<IsTruncated>true</IsTruncated><NextContinuationToken>a&lt;b==</NextContinuationToken>"),
		"empty":          page(0, "<IsTruncated>false</IsTruncated>"),
	} {
		t.Run(name, func(t *testing.T) {
			want, err := listFrom(t, 200, strings.NewReader(body))
			require.NoError(t, err)
			for how, r := range map[string]io.Reader{
				"at once": strings.NewReader(body), "byte by byte": iotest.OneByteReader(strings.NewReader(body)),
			} {
				got, err := listFrom(t, 200, r, decoded)
				require.NoError(t, err, how)
				require.Equal(t, want.IsTruncated, got.IsTruncated)
				require.Equal(t, want.NextContinuationToken, got.NextContinuationToken)
				require.Equal(t, want.EncodingType, got.EncodingType)
				require.Len(t, got.Contents, len(want.Contents))
				for i, o := range want.Contents {
					require.Equal(t, types.Object{Key: o.Key, ETag: o.ETag, Size: o.Size}, got.Contents[i])
				}
			}
		})
	}
}

func TestAListingThatIsCutOffOrNoneIsAnError(t *testing.T) {
	whole := strings.TrimSpace(page(5, "<IsTruncated>false</IsTruncated>"))
	rapid.Check(t, func(rt *rapid.T) {
		at := rapid.IntRange(0, len(whole)-1).Draw(rt, "cut off at")
		_, err := listFrom(t, 200, strings.NewReader(whole[:at]), decoded)
		require.Error(rt, err)
	})
	for name, body := range map[string]string{
		"a page of a proxy":       "<html><body>Sign in</body></html>",
		"no word on whether more": page(1, ""),
		"a size that is none":     strings.Replace(page(1, "<IsTruncated>false</IsTruncated>"), "<Size>0<", "<Size>many<", 1),
		"an object without a key": strings.Replace(page(1, "<IsTruncated>false</IsTruncated>"), "Key>", "Kei>", 2),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := listFrom(t, 200, strings.NewReader(body), decoded)
			require.Error(t, err)
		})
	}
	t.Run("an error of S3's stays what it is", func(t *testing.T) {
		_, err := listFrom(t, 404, strings.NewReader(`<Error><Code>NoSuchBucket</Code><Message>no</Message></Error>`), decoded)
		var gone *types.NoSuchBucket
		require.ErrorAs(t, err, &gone)
	})
}

func BenchmarkListing(b *testing.B) {
	body := []byte(page(1000, "<IsTruncated>false</IsTruncated>"))
	for name, how := range map[string][]func(*s3.Options){"SDK": nil, "Drover": {decoded}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c := s3.New(s3.Options{Region: "r", HTTPClient: answering{200, bytes.NewReader(body)},
					Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
				out, err := c.ListObjectsV2(b.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("b")}, how...)
				require.NoError(b, err)
				require.Len(b, out.Contents, 1000)
			}
		})
	}
}
