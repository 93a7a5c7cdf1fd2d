package files

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// listsAhead is how many ranges are listed at a time.
const listsAhead = 32

// listed is an object of a listing, or a key that cannot be a path.
type listed struct {
	path    string
	remote  remote
	refused string // why it cannot be carried; "": it can
}

// list lists the objects in the order of their keys. boundaries are paths, in order: what lies
// between two is listed by requests of its own, several ranges at a time.
func (b *bucket) list(ctx context.Context, boundaries []string) iter.Seq2[[]listed, error] {
	ranges := func(yield func(func(context.Context) ([]listed, error)) bool) {
		after := ""
		for _, upTo := range append(slices.Clone(boundaries), "") {
			from := after
			if !yield(func(ctx context.Context) ([]listed, error) { return b.listRange(ctx, from, upTo) }) {
				return
			}
			after = upTo
		}
	}
	if len(boundaries) == 0 {
		return b.listPages(ctx, "", "")
	}
	return inOrder(ctx, listsAhead, ranges)
}

// listRange lists what is behind after, up to and with upTo; "" is no limit.
func (b *bucket) listRange(ctx context.Context, after, upTo string) (out []listed, err error) {
	for page, err := range b.listPages(ctx, after, upTo) {
		if err != nil {
			return nil, err
		}
		out = append(out, page...)
	}
	return out, nil
}

func (b *bucket) listPages(ctx context.Context, after, upTo string) iter.Seq2[[]listed, error] {
	in := &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &b.prefix, EncodingType: types.EncodingTypeUrl}
	if after != "" {
		in.StartAfter = b.key(after)
	}
	return func(yield func([]listed, error) bool) {
		pages := s3.NewListObjectsV2Paginator(b.api, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx, append(slices.Clone(b.options), decoded)...)
			if err != nil {
				yield(nil, fmt.Errorf("list s3://%s/%s: %w", b.name, b.prefix, err))
				return
			}
			found, end := b.page(page, upTo)
			if len(found) > 0 && !yield(found, nil) || end {
				return
			}
		}
	}
}

// page reads a page up to a path. end says that there is nothing more up to it.
func (b *bucket) page(page *s3.ListObjectsV2Output, upTo string) (out []listed, end bool) {
	for _, o := range page.Contents {
		key := aws.ToString(o.Key)
		if page.EncodingType == types.EncodingTypeUrl { // names that XML cannot carry
			if plain, err := url.QueryUnescape(key); err == nil {
				key = plain
			}
		}
		p := strings.TrimPrefix(key, b.prefix)
		if upTo != "" && p > upTo {
			return out, true
		}
		end = upTo != "" && p == upTo
		if strings.HasSuffix(key, "/") && aws.ToInt64(o.Size) == 0 {
			continue // what consoles make to show a folder
		}
		l := listed{path: p, remote: remote{ETag: aws.ToString(o.ETag), Size: aws.ToInt64(o.Size)}}
		if why := checkName(b.prefix, p); why != "" {
			l.refused = "its key " + why
		}
		out = append(out, l)
	}
	return out, end
}
