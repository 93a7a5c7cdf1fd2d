package checkpoint

import (
	"context"
	"encoding/json"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/fuzztest"
)

// parts are Checkpoints in memory.
type parts map[string][]byte

func (p parts) Read(_ context.Context, part string) ([]byte, error) { return p[part], nil }

func (p parts) Write(_ context.Context, part string, body []byte) error {
	p[part] = body
	return nil
}

// FuzzCheckpoint: whatever is kept of a copy is a checkpoint, or an error says which part is none
// and what to do. Blocks lie on the disk, and what is kept again is read the same.
func FuzzCheckpoint(f *testing.F) {
	whole := []byte("snap-1\n" + string(make([]byte, 32)) + "0123456789abcdef0123456789abcdef")
	f.Add([]byte(`{"try":1,"snapshot":"snap-1","left":["snap-0"]}`), whole, whole[:50], uint8(9))
	f.Add([]byte(`{"try":2,"snapshot":"snap-1","image":{"key":2000,"snapshot":"snap-1","bytes":4096}}`), whole, whole, uint8(1))
	f.Add([]byte(`{"snapshot":"another"}`), whole, []byte(nil), uint8(0))
	f.Add([]byte(`{`), []byte("\n"), []byte(nil), uint8(16))
	f.Add([]byte(`null`), []byte("\nx"), []byte("\n"), uint8(12))
	f.Fuzz(func(t *testing.T, head, first, second []byte, blocks uint8) {
		keep := parts{headName: head, "blocks-0000": first, "blocks-0001": second}
		const inASegment = 8
		read := func() (blocksOf map[int32]Sum, linear string, s *State, err error) {
			if s, err = Load(t.Context(), keep, inASegment); err != nil {
				return nil, "", nil, err
			}
			blocksOf = map[int32]Sum{}
			last := int32(-1)
			require.NoError(t, s.Each(t.Context(), int64(blocks), func(i int32, v Sum) error {
				require.Greater(t, i, last)
				require.Less(t, i, int32(blocks))
				require.NotEqual(t, Sum{}, v)
				blocksOf[i], last = v, i
				return nil
			}))
			linear, count, err := s.Linear(t.Context(), int64(blocks))
			require.NoError(t, err)
			require.EqualValues(t, len(blocksOf), count)
			return blocksOf, linear, s, nil
		}
		var known map[int32]Sum
		var linear string
		var s *State
		var err error
		fuzztest.Bounded(t, len(head)+len(first)+len(second), 4<<10, func() { known, linear, s, err = read() })
		if err != nil {
			require.Regexp(t, regexp.MustCompile(`^read the checkpoint: .*; remove the object to start over$`), err.Error())
			return
		}
		was := s.Head
		if blocks > 0 { // what is put, and put out of memory by others, is there afterwards
			known[int32(blocks)-1] = Sum{1}
			require.NoError(t, s.Put(t.Context(), int32(blocks)-1, Sum{1}))
			for n := range segmentsNear + 1 {
				_, err := s.at(t.Context(), 100+n)
				require.NoError(t, err)
			}
			_, linear, _, _ = read()
		}
		require.NoError(t, s.Save(t.Context()))
		again, same, s2, err := read()
		require.NoError(t, err)
		require.Equal(t, known, again)
		require.Equal(t, linear, same)
		require.Equal(t, kept(t, was), kept(t, s2.Head))
	})
}

// kept is a head as it is written.
func kept(t *testing.T, h Head) string {
	t.Helper()
	b, err := json.Marshal(h)
	require.NoError(t, err)
	return string(b)
}
