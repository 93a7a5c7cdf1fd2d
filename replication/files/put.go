package files

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
)

// object is what is put: a file's content with its looks and digest, in place of the object with an
// ETag, of none if that is "".
type object struct {
	path   string
	looks  Local
	sha    Digest
	body   content
	etag   string
	said   said
	commit func(context.Context) error // asked immediately before the effect
}

// put writes an object on its condition and answers what S3 keeps. S3 itself computes the checksum
// and refuses what differs.
//
// A condition that does not hold may be of our own doing: the answer to a first request was lost,
// and the client sent it again. Then the object is what was to be written.
func (b *bucket) put(ctx context.Context, o object, up *upload) (stored, error) {
	put := b.putWhole
	if o.looks.Size > b.part {
		put = func(ctx context.Context, o object) (stored, error) { return b.putParts(ctx, o, up) }
	}
	st, err := put(ctx, o)
	if errors.Is(err, errCondition) || errors.Is(err, errGone) {
		if now, herr := b.head(ctx, o.path); herr == nil && now.is(o.looks, o.sha) {
			return now, nil
		}
	}
	return st, err
}

func (b *bucket) putWhole(ctx context.Context, o object) (stored, error) {
	if err := o.commit(ctx); err != nil {
		return stored{}, err
	}
	in := &s3.PutObjectInput{
		Bucket: &b.name, Key: b.key(o.path), Body: o.body, ContentLength: &o.looks.Size, ChecksumSHA256: aws.String(o.sha.base64()),
		Metadata: o.said.with(o.looks, o.sha), ContentType: o.said.typeOf(o.path), CacheControl: o.said.cacheControl,
		ContentDisposition: o.said.disposition, ContentEncoding: o.said.encoding, ContentLanguage: o.said.language,
		WebsiteRedirectLocation: o.said.redirect, StorageClass: o.said.storageClass,
	}
	in.IfMatch, in.IfNoneMatch = condition(o.etag)
	out, err := b.api.PutObject(ctx, in, append(b.options[:len(b.options):len(b.options)], signedAs(o.sha))...)
	if err != nil {
		return stored{}, classify(err)
	}
	return stored{ETag: aws.ToString(out.ETag), Size: o.looks.Size, Checksum: aws.ToString(out.ChecksumSHA256), SHA256: o.sha}, nil
}

// signedAs has a request signed with the digest of its body, which is known already: the client
// would read the body once more for it.
func signedAs(sha Digest) func(*s3.Options) {
	type (
		input  = middleware.InitializeInput
		output = middleware.InitializeOutput
		next   = middleware.InitializeHandler
	)
	known := func(ctx context.Context, in input, n next) (output, middleware.Metadata, error) {
		return n.HandleInitialize(v4.SetPayloadHash(ctx, sha.String()), in)
	}
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
			return s.Initialize.Add(middleware.InitializeMiddlewareFunc("KnownPayloadHash", known), middleware.After)
		})
	}
}
