package web

import (
	"bytes"
	"compress/gzip"
	"sync"
)

// mostCached is how many pages of one version of a migration are kept.
const mostCached = 200

// cache keeps what pages of the present version of each migration look like: many who look at the
// same cost what one costs.
type cache struct {
	mu    sync.Mutex
	plans map[string]*versionCache
}

type versionCache struct {
	version uint64
	pages   map[string]*cached
}

// cached is a page once it is made. Whoever wants it while it is made waits.
type cached struct {
	once  sync.Once
	plain []byte
	zip   []byte
	err   error
}

func newCache() *cache { return &cache{plans: map[string]*versionCache{}} }

// get gives a page of a version, made by the first who asks.
func (c *cache) get(plan string, version uint64, key string, make func(*bytes.Buffer) error) (plain, zip []byte, err error) {
	at := c.at(plan, version, key)
	at.once.Do(func() {
		var b, z bytes.Buffer
		if at.err = make(&b); at.err != nil {
			return
		}
		w, _ := gzip.NewWriterLevel(&z, gzip.BestSpeed) // the level exists
		_, _ = w.Write(b.Bytes())                       // a buffer takes everything
		_ = w.Close()
		at.plain, at.zip = b.Bytes(), z.Bytes()
	})
	return at.plain, at.zip, at.err
}

func (c *cache) at(plan string, version uint64, key string) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.plans[plan]
	if v == nil || v.version < version {
		v = &versionCache{version: version, pages: map[string]*cached{}}
		c.plans[plan] = v
	}
	if v.version > version { // somebody holds an older snapshot for a moment
		return &cached{}
	}
	at := v.pages[key]
	if at == nil {
		if len(v.pages) >= mostCached {
			return &cached{}
		}
		at = &cached{}
		v.pages[key] = at
	}
	return at
}
