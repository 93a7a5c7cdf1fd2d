package routetest

import (
	"context"
	"path"
	"strconv"
	"sync"

	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/migration"
)

// bucket is a state bucket in memory. Its ETags are how often an object was written.
type bucket struct {
	mu   sync.Mutex
	kept map[string][]byte
	tags map[string]int
}

// NewBucket is an empty state bucket.
func NewBucket() objects.Bucket { return newBucket() }

func newBucket() *bucket { return &bucket{kept: map[string][]byte{}, tags: map[string]int{}} }

// Get returns an object.
func (b *bucket) Get(_ context.Context, at migration.StateStore, _ migration.Target, key string) ([]byte, string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key = path.Join(at.Prefix, key)
	body, ok := b.kept[key]
	if !ok {
		return nil, "", objects.ErrNotFound
	}
	return body, strconv.Itoa(b.tags[key]), nil
}

// Put writes an object if it is as ifMatch says.
func (b *bucket) Put(_ context.Context, at migration.StateStore, _ migration.Target, key string, body []byte,
	ifMatch string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key = path.Join(at.Prefix, key)
	if _, ok := b.kept[key]; ok != (ifMatch != "") || ok && ifMatch != objects.Any && ifMatch != strconv.Itoa(b.tags[key]) {
		return "", objects.ErrConflict
	}
	b.kept[key] = body
	b.tags[key]++
	return strconv.Itoa(b.tags[key]), nil
}
