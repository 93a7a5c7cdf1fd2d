package files_test

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/drover-migration/drover/replication/files"
)

// counting counts the requests by kind.
type counting struct {
	files.API
	mu    sync.Mutex
	calls map[string]int
	keys  atomic.Int64 // that listings answered with
	onPut func()
}

func (c *counting) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	c.calls[what]++
}

func (c *counting) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = map[string]int{}
	c.keys.Store(0)
}

func (c *counting) PutObject(ctx context.Context, in *s3.PutObjectInput, o ...func(*s3.Options)) (*s3.PutObjectOutput, error) {
	c.count("put")
	if c.onPut != nil {
		c.onPut()
	}
	return c.API.PutObject(ctx, in, o...)
}

func (c *counting) HeadObject(ctx context.Context, in *s3.HeadObjectInput, o ...func(*s3.Options)) (*s3.HeadObjectOutput, error) {
	c.count("head")
	return c.API.HeadObject(ctx, in, o...)
}

func (c *counting) GetObject(ctx context.Context, in *s3.GetObjectInput, o ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	c.count("get")
	return c.API.GetObject(ctx, in, o...)
}

func (c *counting) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput, o ...func(*s3.Options)) (*s3.DeleteObjectOutput, error) {
	c.count("delete")
	return c.API.DeleteObject(ctx, in, o...)
}

func (c *counting) ListObjectsV2(ctx context.Context, in *s3.ListObjectsV2Input, o ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	c.count("list")
	out, err := c.API.ListObjectsV2(ctx, in, o...)
	if err == nil {
		c.keys.Add(int64(len(out.Contents)))
	}
	return out, err
}

func (c *counting) UploadPart(ctx context.Context, in *s3.UploadPartInput, o ...func(*s3.Options)) (*s3.UploadPartOutput, error) {
	c.count("part")
	return c.API.UploadPart(ctx, in, o...)
}

// countingStore counts what a manifest costs.
type countingStore struct {
	*memory
	mu                           sync.Mutex
	heads, bytes, reads, written int
}

func (c *countingStore) add(to *int, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*to += n
}

func (c *countingStore) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heads, c.bytes, c.reads, c.written = 0, 0, 0, 0
}

func (c *countingStore) Save(ctx context.Context, body []byte, etag string) (string, error) {
	c.add(&c.heads, 1)
	c.add(&c.bytes, len(body))
	return c.memory.Save(ctx, body, etag)
}

func (c *countingStore) LoadSegment(ctx context.Context, name string) ([]byte, error) {
	c.add(&c.reads, 1)
	return c.memory.LoadSegment(ctx, name)
}

func (c *countingStore) SaveSegment(ctx context.Context, name string, body []byte) error {
	c.add(&c.written, 1)
	return c.memory.SaveSegment(ctx, name, body)
}
