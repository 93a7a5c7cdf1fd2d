package files

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/orisano/gosax"
)

// decoded has the answers of a listing read by decodeListing. The SDK's own decoder, over
// encoding/xml, takes 18 us an object: seconds of a freeze for a customer with many files.
func decoded(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		const id = "OperationDeserializer" // of every operation that the SDK has generated
		own, ok := stack.Deserialize.Get(id)
		if !ok {
			return fmt.Errorf("the SDK has no %s", id)
		}
		_, err := stack.Deserialize.Swap(id, &listDecoder{own})
		return err
	})
}

// listDecoder stands for the SDK's decoder of a listing, which still reads what is no listing.
type listDecoder struct {
	middleware.DeserializeMiddleware
}

func (l *listDecoder) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	middleware.DeserializeOutput, middleware.Metadata, error,
) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	res, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok || res.StatusCode != 200 {
		return l.DeserializeMiddleware.HandleDeserialize(ctx, in, answered{out, metadata, err})
	}
	defer func() { _ = res.Body.Close() }()
	page, err := decodeListing(res.Body)
	if err != nil {
		return out, metadata, &smithy.DeserializationError{Err: err}
	}
	out.Result = page
	return out, metadata, nil
}

// answered is what was answered already.
type answered struct {
	out      middleware.DeserializeOutput
	metadata middleware.Metadata
	err      error
}

func (a answered) HandleDeserialize(context.Context, middleware.DeserializeInput) (
	middleware.DeserializeOutput, middleware.Metadata, error,
) {
	return a.out, a.metadata, a.err
}

// decodeListing reads S3's answer to ListObjectsV2, of each object its key, ETag and size.
func decodeListing(body io.Reader) (*s3.ListObjectsV2Output, error) {
	var (
		out   s3.ListObjectsV2Output
		path  []string // the elements that are open
		text  []byte   // of the innermost
		o     types.Object
		names = map[string]string{} // so that no name is allocated twice
	)
	r := gosax.NewReader(body)
	r.EmitSelfClosingTag = true
	for {
		e, err := r.Event()
		if err != nil {
			return nil, fmt.Errorf("read a listing: %w", err)
		}
		switch e.Type() {
		case gosax.EventEOF:
			if len(path) > 0 || out.IsTruncated == nil {
				return nil, fmt.Errorf("read a listing: %w", io.ErrUnexpectedEOF)
			}
			return &out, nil
		case gosax.EventStart:
			b, _ := gosax.Name(e.Bytes)
			if len(path) == 0 && string(b) != "ListBucketResult" {
				return nil, fmt.Errorf("read a listing: it is a %s", b)
			}
			name, ok := names[string(b)]
			if !ok {
				name = string(b)
				names[name] = name
			}
			path, text = append(path, name), text[:0]
		case gosax.EventText:
			text = append(text, e.Bytes...)
		case gosax.EventEnd:
			if len(path) == 0 {
				return nil, fmt.Errorf("read a listing: an element ends that has not begun")
			}
			if err := take(&out, &o, path, text); err != nil {
				return nil, fmt.Errorf("read a listing: %w", err)
			}
			path, text = path[:len(path)-1], text[:0]
		}
	}
}

// take takes the value of an element that has ended.
func take(out *s3.ListObjectsV2Output, o *types.Object, path []string, text []byte) error {
	name := path[len(path)-1]
	value := func() (*string, error) {
		plain, err := gosax.Unescape(bytes.Clone(text))
		s := string(plain)
		return &s, err
	}
	var err error
	switch {
	case len(path) == 2 && name == "Contents":
		if o.Key == nil || o.Size == nil || o.ETag == nil {
			return fmt.Errorf("object %d of it has no key, size or ETag", len(out.Contents)+1)
		}
		out.Contents = append(out.Contents, *o)
		*o = types.Object{}
	case len(path) == 3 && path[1] == "Contents" && name == "Key":
		o.Key, err = value()
	case len(path) == 3 && path[1] == "Contents" && name == "ETag":
		o.ETag, err = value()
	case len(path) == 3 && path[1] == "Contents" && name == "Size":
		var n int64
		n, err = strconv.ParseInt(string(text), 10, 64)
		o.Size = &n
	case len(path) == 2 && name == "IsTruncated":
		var more bool
		more, err = strconv.ParseBool(string(text))
		out.IsTruncated = &more
	case len(path) == 2 && name == "NextContinuationToken":
		out.NextContinuationToken, err = value()
	case len(path) == 2 && name == "EncodingType":
		out.EncodingType = types.EncodingType(text)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
