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

// list lists the objects in the order of their keys: each span, of which there is one at least, by
// requests of its own, several spans at a time.
func (b *bucket) list(ctx context.Context, spans []span) iter.Seq2[[]listed, error] {
	if len(spans) == 1 {
		return b.listPages(ctx, spans[0])
	}
	return inOrder(ctx, listsAhead, func(yield func(func(context.Context) ([]listed, error)) bool) {
		for _, s := range spans {
			if !yield(func(ctx context.Context) ([]listed, error) { return b.listSpan(ctx, s) }) {
				return
			}
		}
	})
}

func (b *bucket) listSpan(ctx context.Context, s span) (out []listed, err error) {
	for page, err := range b.listPages(ctx, s) {
		if err != nil {
			return nil, err
		}
		out = append(out, page...)
	}
	return out, nil
}

// mostKeys is how many keys S3 answers with at most.
const mostKeys = 1000

// atOnce is how many keys a request asks for: all of the span, with some room for new ones. What it
// gets of the next span would be read there for nothing.
func (s span) atOnce() int32 {
	if s.upTo == "" || s.about == 0 {
		return mostKeys
	}
	return int32(min(mostKeys, s.about+s.about/16+8)) //nolint:gosec // a thousand at most
}

func (b *bucket) listPages(ctx context.Context, s span) iter.Seq2[[]listed, error] {
	in := &s3.ListObjectsV2Input{
		Bucket: &b.name, Prefix: &b.prefix, EncodingType: types.EncodingTypeUrl, MaxKeys: aws.Int32(s.atOnce()),
	}
	if s.after != "" {
		in.StartAfter = b.key(s.after)
	}
	return func(yield func([]listed, error) bool) {
		pages := s3.NewListObjectsV2Paginator(b.api, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx, append(slices.Clone(b.options), decoded)...)
			if err != nil {
				yield(nil, fmt.Errorf("list s3://%s/%s: %w", b.name, b.prefix, err))
				return
			}
			found, end := b.page(page, s.upTo)
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
