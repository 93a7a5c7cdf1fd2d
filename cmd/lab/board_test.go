package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// good is a board that keeps every promise.
func good() *board {
	n := func(v int64) *int64 { return &v }
	return &board{
		Customers: 12, Moved: 11, RolledBack: 5, AckedWrites: 10_000, FreezeMS: percentiles{n(200), n(499), n(499)}, RollbackMS: percentiles{P50: n(900), Max: n(900)},
		ClientStallMS: percentiles{P99: n(900), Max: n(2999)}, FaultedStallMS: percentiles{Max: n(7999)}, DiskBlocksVerified: 1, ObjectsVerified: 1, RowsVerified: 1, WallS: 299, expectBack: 5,
	}
}

func TestTheBoardHasTheKeysThatItsReadersCountOn(t *testing.T) {
	b, err := json.Marshal(good())
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(b, &got))
	var keys []string
	for _, k := range slices.Sorted(maps.Keys(got)) {
		keys = append(keys, k)
		if inner, ok := got[k].(map[string]any); ok {
			keys = append(keys, "  "+strings.Join(slices.Sorted(maps.Keys(inner)), " "))
		}
	}
	require.Equal(t, []string{
		"acked_writes", "client_stall_ms", "  max p99", "customers", "disk_blocks_verified", "duplicate_writes", "failed_requests", "faulted_stall_ms", "  max",
		"freeze_ms", "  max p50 p99", "held", "lost_writes", "misplaced_rows", "moved", "objects_verified", "requests", "retried_requests",
		"rollback_ms", "  max p50", "rolled_back", "rows_verified", "wall_s",
	}, keys)
}

func TestARunThatBreaksAPromiseFails(t *testing.T) {
	require.NoError(t, good().judge())
	for says, spoil := range map[string]func(*board){
		"1 lost writes":               func(b *board) { b.LostWrites = 1 },
		"1 duplicate writes":          func(b *board) { b.DuplicateWrites = 1 },
		"1 misplaced rows":            func(b *board) { b.MisplacedRows = 1 },
		"1 failed requests":           func(b *board) { b.FailedRequests = 1 },
		"1 violations":                func(b *board) { b.Violations = []string{"x"} },
		"4 Moves back":                func(b *board) { b.RolledBack = 4 },
		"9999 acknowledged writes":    func(b *board) { b.AckedWrites = 9999 },
		"0 disk blocks verified":      func(b *board) { b.DiskBlocksVerified = 0 },
		"0 objects verified; want 1 ": func(b *board) { b.ObjectsVerified = 0 },
		"0 rows verified":             func(b *board) { b.RowsVerified = 0 },
	} {
		b := good()
		spoil(b)
		require.ErrorContains(t, b.judge(), says)
	}
}

func TestARunThatIsSlowSaysSoAndDoesNotFail(t *testing.T) {
	require.Empty(t, good().slow())
	b := good()
	*b.FreezeMS.P99, *b.ClientStallMS.Max, *b.FaultedStallMS.Max, b.WallS = 500, 3000, 8000, 300
	require.Len(t, b.slow(), 4)
	require.NoError(t, b.judge())
	var out bytes.Buffer
	b.print(&out)
	require.Contains(t, out.String(), "slow: freeze p99: 500 ms, and on an otherwise idle machine under 500 ms")
}
