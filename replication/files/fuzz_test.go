package files

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/fuzztest"
)

// whereInIt is how an error says what of a manifest it is about.
var whereInIt = regexp.MustCompile(`record \d+ of|head|version \d+`)

// FuzzManifest: any bytes are a manifest's head, or records of one, or they are damaged and an
// error says where. What is read is in order, and is read the same once it was written again.
func FuzzManifest(f *testing.F) {
	sum := Digest{1, 2, 3}
	whole := Entry{Local: Local{Size: 5, MTime: Stamp{Sec: 1, Nsec: 2}, CTime: Stamp{Sec: 3}, Inode: 4, Mode: 0o644, UID: 6, GID: 7},
		SHA256: sum, ETag: `"0123456789abcdef0123456789abcdef"`, Checksum: sum.base64(), Verified: true}
	link := Entry{Local: Local{Link: "a/b"}, ETag: `"x-2"`, Checksum: "other", Racy: time.Unix(9, 0), Pending: true, Upload: "u"}
	records := encodeRecords([]record{{path: "a/b", Entry: whole}, {path: "a/c", gone: true}, {path: "a/cd", Entry: link}})
	for _, head := range []string{
		`{"version":2}`, `{"version":1}`, `null`, `[]`,
		`{"version":2,"home":"aws","segments":[{"name":"x","first":"a","entries":1},{"name":"y","first":"b","entries":2}],"changes":"AAA="}`,
	} {
		f.Add([]byte(head), records)
	}
	f.Add([]byte{}, records[:len(records)/2])
	f.Add([]byte{}, []byte(strings.Repeat("\x00\x01a\x01", 3)))
	f.Fuzz(func(t *testing.T, head, body []byte) {
		var kept []record
		var err error
		// A record of five bytes may have a path of a thousand.
		fuzztest.Bounded(t, len(body), 4<<10, func() { kept, err = decodeRecords(body) })
		if err != nil {
			require.Regexp(t, whereInIt, err.Error())
		} else {
			require.True(t, slices.IsSortedFunc(kept, func(a, b record) int { return strings.Compare(a.path, b.path) }))
			again, err := decodeRecords(encodeRecords(kept))
			require.NoError(t, err)
			require.Equal(t, kept, again)
		}

		h, changes, err := readHead(head)
		if err != nil {
			require.Regexp(t, whereInIt, err.Error())
			return
		}
		h.Changes = encodeRecords(changes)
		packed, err := encodeHead(h)
		require.NoError(t, err)
		same, sameChanges, err := decodeHead(packed)
		require.NoError(t, err)
		h.Changes = nil
		require.Equal(t, h, same)
		require.Equal(t, changes, sameChanges)

		store := &shelf{segments: map[string][]byte{}, head: packed, saves: 1}
		for _, s := range h.Segments {
			store.segments[s.Name], _ = pack(encodeRecords([]record{{path: s.First, Entry: whole}}))
		}
		l, err := openLedger(t.Context(), store)
		require.NoError(t, err)
		l.set("zz", link)
		before := all(t, l)
		require.NoError(t, l.save(t.Context(), 0)) // all goes to segments
		l, err = openLedger(t.Context(), store)
		require.NoError(t, err)
		require.Equal(t, before, all(t, l))
	})
}
