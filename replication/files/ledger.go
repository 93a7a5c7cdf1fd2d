package files

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
)

const (
	// segmentEntries is how many entries a segment has: a little less than a page of a listing, so
	// that the keys of a segment are listed by one request also where some were added.
	segmentEntries = 900
	// manyChanges is how many changes a head holds before they go to segments.
	manyChanges = 8192
	// someChanges is the same at the end of a warm pass: the next pass, which may be the last one,
	// saves what it changes and not much more.
	someChanges = 1024
	// heldBytes is how much of the segments is kept in memory, decoded, for the next pass of the
	// same run: a million files.
	heldBytes = 128 << 20
	// segmentsAhead is how many segments are read or written at a time.
	segmentsAhead = 16
)

// ledger is a manifest in use. The entries are not in memory: each pass reads the segments in
// order, and what it changes is in changes.
type ledger struct {
	store Store

	mu       sync.Mutex
	home     migration.Side // of the last pass that looked at both sides
	segments []segment
	changes  map[string]record
	dirty    bool // the head is not as stored
	held     map[string][]byte
	bytes    int // of held

	saving sync.Mutex // one save at a time
	etag   string     // of the head as stored
	stale  []string   // segments that the stored head names no more
}

func openLedger(ctx context.Context, store Store) (*ledger, error) {
	body, etag, err := store.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	h, changes, err := decodeHead(body)
	if err != nil {
		return nil, err
	}
	l := &ledger{store: store, etag: etag, home: migration.Side(h.Home), segments: h.Segments}
	l.changes, l.held = map[string]record{}, map[string][]byte{}
	for _, c := range changes {
		l.changes[c.path] = c
	}
	return l, nil
}

// never says that no pass was ever made over these files.
func (l *ledger) never() bool { return l.etag == "" }

// maxHead is how many changes a head may hold inside a freeze, where nothing is moved to segments.
const maxHead = 1 << 20

// changed says that the head is not as stored.
func (l *ledger) changed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dirty
}

// compared records that both sides were looked at, with their home. Of a customer that never had
// files no manifest is made for it.
func (l *ledger) compared(home migration.Side) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dirty = l.dirty || l.home != home && !l.never()
	l.home = home
}

// set records an entry in place of what there is under its path.
func (l *ledger) set(path string, e Entry) { l.put(record{path: path, Entry: e}) }

// forget removes an entry.
func (l *ledger) forget(path string) { l.put(record{path: path, gone: true}) }

func (l *ledger) put(r record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes[r.path], l.dirty = r, true
}

// within is where segment i lies among the paths: from first, included, to end, excluded; an end of
// "" is none.
func within(segments []segment, i int) (first, end string) {
	if i > 0 {
		first = segments[i].First
	}
	if i+1 < len(segments) {
		end = segments[i+1].First
	}
	return first, end
}

// span is a range of keys: behind after, up to and with upTo; "" is no limit.
type span struct {
	after, upTo string
	about       int // keys, by the manifest; 0: it does not say
}

// spans divide the keys into ranges of a segment each.
func (l *ledger) spans() []span {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []span{{}}
	for i, s := range l.segments {
		if i > 0 {
			out[i-1].upTo = s.First
			out = append(out, span{after: s.First})
		}
		out[i].about = s.Entries
	}
	return out
}

// snapshot is what the ledger says now: changes are in order.
func (l *ledger) snapshot() (segments []segment, changes []record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	byPath := func(a, b record) int { return strings.Compare(a.path, b.path) }
	return slices.Clone(l.segments), slices.SortedFunc(maps.Values(l.changes), byPath)
}

// entries gives the entries as they are now, in order. What is set or forgotten meanwhile is not
// seen.
func (l *ledger) entries(ctx context.Context) iter.Seq2[[]record, error] {
	segments, changes := l.snapshot()
	return l.merged(ctx, segments, changes)
}

// merged gives the entries of segments with changes applied.
func (l *ledger) merged(ctx context.Context, segments []segment, changes []record) iter.Seq2[[]record, error] {
	loads := func(yield func(func(context.Context) ([]record, error)) bool) {
		for _, s := range segments {
			if !yield(func(ctx context.Context) ([]record, error) { return l.load(ctx, s) }) {
				return
			}
		}
	}
	return func(yield func([]record, error) bool) {
		i, rest := 0, changes
		for loaded, err := range inOrder(ctx, segmentsAhead, loads) {
			if err != nil {
				yield(nil, err)
				return
			}
			_, end := within(segments, i)
			mine := rest
			if end != "" {
				n, _ := slices.BinarySearchFunc(rest, end, func(r record, p string) int { return strings.Compare(r.path, p) })
				mine, rest = rest[:n], rest[n:]
			} else {
				rest = nil
			}
			if !yield(apply(loaded, mine), nil) {
				return
			}
			i++
		}
		if len(segments) == 0 {
			yield(apply(nil, changes), nil)
		}
	}
}

// apply merges changes into entries; both are in order.
func apply(entries, changes []record) []record {
	if len(changes) == 0 {
		return entries
	}
	out := make([]record, 0, len(entries)+len(changes))
	for len(entries)+len(changes) > 0 {
		switch {
		case len(changes) == 0 || len(entries) > 0 && entries[0].path < changes[0].path:
			out, entries = append(out, entries[0]), entries[1:]
		default:
			if len(entries) > 0 && entries[0].path == changes[0].path {
				entries = entries[1:]
			}
			if !changes[0].gone {
				out = append(out, changes[0])
			}
			changes = changes[1:]
		}
	}
	return out
}

func (l *ledger) load(ctx context.Context, s segment) ([]record, error) {
	l.mu.Lock()
	raw, ok := l.held[s.Name]
	l.mu.Unlock()
	if !ok {
		body, err := l.store.LoadSegment(ctx, s.Name)
		if err != nil {
			return nil, fmt.Errorf("read the manifest: %w", err)
		}
		if raw, err = unpack(body); err != nil {
			return nil, err
		}
		l.hold(s.Name, raw)
	}
	return decodeRecords(raw)
}

func (l *ledger) hold(name string, raw []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.held[name]; !ok && l.bytes+len(raw) <= heldBytes {
		l.held[name] = raw
		l.bytes += len(raw)
	}
}

// save stores what changed. More than most changes go to segments first.
func (l *ledger) save(ctx context.Context, most int) error {
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mu.Lock()
	n := len(l.changes)
	l.mu.Unlock()
	var dropped []string
	if n > most {
		var err error
		if dropped, err = l.compact(ctx); err != nil {
			return fmt.Errorf("save the manifest: %w", err)
		}
	}
	segments, changes := l.snapshot()
	l.mu.Lock()
	l.dirty = false
	home := l.home
	l.mu.Unlock()
	body, err := encodeHead(head{Home: string(home), Segments: segments, Changes: encodeRecords(changes)})
	if err == nil {
		l.etag, err = l.saveHead(ctx, body)
	}
	if err != nil {
		l.mu.Lock()
		l.dirty = true
		l.mu.Unlock()
		return fmt.Errorf("save the manifest: %w", err)
	}
	l.stale = append(l.stale, dropped...)
	return nil
}

func (l *ledger) saveHead(ctx context.Context, body []byte) (string, error) {
	etag, err := l.store.Save(ctx, body, l.etag)
	if err != nil {
		return l.etag, err
	}
	return etag, nil
}

// compact writes the changes to segments and answers which segments they replace. The stored head
// still names those.
func (l *ledger) compact(ctx context.Context) (dropped []string, err error) {
	segments, changes := l.snapshot()
	c := &compaction{ledger: l}
	c.writes.SetLimit(segmentsAhead)
	if len(segments) == 0 {
		c.add(ctx, apply(nil, changes))
	}
	rest := changes
	for i, s := range segments {
		_, end := within(segments, i)
		n := len(rest)
		if end != "" {
			n, _ = slices.BinarySearchFunc(rest, end, func(r record, p string) int { return strings.Compare(r.path, p) })
		}
		mine := rest[:n]
		rest = rest[n:]
		if len(mine) == 0 && len(c.entries) >= segmentEntries/2 {
			c.cut(ctx, len(c.entries))
		}
		if len(mine) == 0 && len(c.entries) == 0 {
			c.out = append(c.out, &s)
			continue
		}
		loaded, err := l.load(ctx, s)
		if err != nil {
			return nil, err
		}
		dropped = append(dropped, s.Name)
		c.add(ctx, apply(loaded, mine))
	}
	if len(c.entries) > 0 {
		c.cut(ctx, len(c.entries))
	}
	if err := c.writes.Wait(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segments = nil
	for _, s := range c.out {
		l.segments = append(l.segments, *s)
	}
	for _, r := range changes {
		if l.changes[r.path] == r { // not set again meanwhile
			delete(l.changes, r.path)
		}
	}
	return dropped, nil
}

// compaction collects entries and writes them as segments.
type compaction struct {
	*ledger
	writes  errgroup.Group
	entries []record
	out     []*segment
}

func (c *compaction) add(ctx context.Context, entries []record) {
	c.entries = append(c.entries, entries...)
	for len(c.entries) >= 2*segmentEntries {
		c.cut(ctx, segmentEntries)
	}
}

// cut makes a segment of the first n entries, or two where they are too many for one.
func (c *compaction) cut(ctx context.Context, n int) {
	if n > segmentEntries {
		c.cut(ctx, n/2)
		n -= n / 2
	}
	mine := c.entries[:n]
	c.entries = slices.Clone(c.entries[n:])
	s := &segment{Name: rand.Text(), First: mine[0].path, Entries: n}
	c.out = append(c.out, s)
	c.writes.Go(func() error {
		raw := encodeRecords(mine)
		body, err := pack(raw)
		if err != nil {
			return err
		}
		c.hold(s.Name, raw)
		return c.store.SaveSegment(ctx, s.Name, body)
	})
}

// sweep removes the segments that no head names any more. It is for the end of a pass: while one
// reads, it may need them.
func (l *ledger) sweep(ctx context.Context) {
	l.saving.Lock()
	stale := l.stale
	l.stale = nil
	l.saving.Unlock()
	var g errgroup.Group
	g.SetLimit(segmentsAhead)
	for _, name := range stale {
		l.mu.Lock()
		l.bytes -= len(l.held[name])
		delete(l.held, name)
		l.mu.Unlock()
		g.Go(func() error {
			_ = l.store.RemoveSegment(ctx, name) // left behind it does no harm
			return nil
		})
	}
	_ = g.Wait()
}
