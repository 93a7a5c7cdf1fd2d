package files

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// shelf is a Store in memory.
type shelf struct {
	mu       sync.Mutex // of segments
	head     []byte
	saves    int
	segments map[string][]byte
}

func (s *shelf) Load(context.Context) ([]byte, string, error) {
	if s.saves == 0 {
		return nil, "", nil
	}
	return s.head, fmt.Sprint(s.saves), nil
}

func (s *shelf) Save(_ context.Context, body []byte, etag string) (string, error) {
	if s.saves > 0 && etag != fmt.Sprint(s.saves) {
		return "", ErrManifest
	}
	s.head, s.saves = body, s.saves+1
	return fmt.Sprint(s.saves), nil
}

func (s *shelf) LoadSegment(_ context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.segments[name]; ok {
		return b, nil
	}
	return nil, ErrManifest
}

func (s *shelf) SaveSegment(_ context.Context, name string, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments[name] = body
	return nil
}

func (s *shelf) RemoveSegment(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.segments, name)
	return nil
}

func all(t require.TestingT, l *ledger) (out []record) {
	for batch, err := range l.entries(context.Background()) {
		require.NoError(t, err)
		out = append(out, batch...)
	}
	return out
}

func anEntry(rt *rapid.T) Entry {
	text := rapid.StringMatching(`[a-z"=/+-]{0,40}`)
	e := Entry{
		Local: Local{
			Size:  rapid.Int64().Draw(rt, "size"),
			MTime: Stamp{Sec: rapid.Int64().Draw(rt, "sec"), Nsec: rapid.Int32Range(0, 999_999_999).Draw(rt, "nsec")},
			CTime: Stamp{Sec: rapid.Int64().Draw(rt, "csec")}, Inode: rapid.Uint64().Draw(rt, "inode"),
			Mode: rapid.Uint32().Draw(rt, "mode"), UID: rapid.Uint32().Draw(rt, "uid"), GID: rapid.Uint32().Draw(rt, "gid"),
			Link: text.Draw(rt, "link"),
		},
		Checksum: text.Draw(rt, "checksum"), Verified: rapid.Bool().Draw(rt, "verified"), Pending: rapid.Bool().Draw(rt, "pending"),
		Upload: text.Draw(rt, "upload"),
	}
	copy(e.SHA256[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "sha"))
	e.ETag = rapid.SampledFrom([]string{"", `"` + e.SHA256.String()[:32] + `"`, `"ABCDEF0123456789ABCDEF0123456789"`, `"0123-5"`}).Draw(rt,
		"etag")
	if rapid.Bool().Draw(rt, "whole") {
		e.Checksum = e.SHA256.base64()
	}
	if rapid.Bool().Draw(rt, "racy") {
		e.Racy = time.Unix(0, rapid.Int64Range(1, 1<<60).Draw(rt, "racy since"))
	}
	return e
}

func TestARecordComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var records []record
		for _, p := range slices.Sorted(slices.Values(rapid.SliceOfNDistinct(rapid.String(), 0, 5, rapid.ID).Draw(rt, "paths"))) {
			r := record{path: p, gone: rapid.Bool().Draw(rt, "gone")}
			if !r.gone {
				r.Entry = anEntry(rt)
			}
			records = append(records, r)
		}
		b := encodeRecords(records)
		back, err := decodeRecords(b)
		require.NoError(rt, err)
		require.Equal(rt, records, back)
		if len(b) > 0 { // what is cut off is an error, or fewer records; never a panic
			_, _ = decodeRecords(b[:rapid.IntRange(0, len(b)-1).Draw(rt, "cut")])
		}
	})
}

// A ledger is a map that is saved: whatever is set, forgotten, moved to segments, saved and read
// again.
func TestALedgerIsAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		store := &shelf{segments: map[string][]byte{}}
		l, err := openLedger(t.Context(), store)
		require.NoError(rt, err)
		want := map[string]Entry{}
		path := func() string { return fmt.Sprintf("%05d", rapid.IntRange(0, 9999).Draw(rt, "path")) }
		for range rapid.IntRange(1, 6).Draw(rt, "rounds") {
			first, n := rapid.IntRange(0, 9999).Draw(rt, "first"), rapid.SampledFrom([]int{0, 1, 100, 3000}).Draw(rt, "many")
			for i := first; i < first+n; i++ {
				p := fmt.Sprintf("%05d", i)
				want[p] = Entry{ETag: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "etag")}
				l.set(p, want[p])
			}
			for range rapid.IntRange(0, 5).Draw(rt, "forgotten") {
				p := path()
				delete(want, p)
				l.forget(p)
			}
			if gone := rapid.IntRange(0, 9999).Draw(rt, "gone from"); rapid.Bool().Draw(rt, "a range goes") {
				for i := gone; i < gone+2000; i++ {
					delete(want, fmt.Sprintf("%05d", i))
					l.forget(fmt.Sprintf("%05d", i))
				}
			}
			require.NoError(rt, l.save(t.Context(), rapid.SampledFrom([]int{0, 1000, maxHead}).Draw(rt, "most")))
			l.sweep(t.Context())
			if rapid.Bool().Draw(rt, "read again") {
				l, err = openLedger(t.Context(), store)
				require.NoError(rt, err)
			}
			got := all(rt, l)
			require.Equal(rt, slices.Sorted(maps.Keys(want)), paths(got), "in order")
			for _, r := range got {
				require.Equal(rt, want[r.path], r.Entry)
			}
			require.Len(rt, store.segments, len(l.segments), "no segment is left behind")
			for _, s := range l.segments {
				require.LessOrEqual(rt, s.Entries, segmentEntries)
			}
		}
	})
}

func paths(records []record) (out []string) {
	for _, r := range records {
		out = append(out, r.path)
	}
	return out
}
