// Package fuzztest holds what reads foreign bytes to bounds of time and memory. It is for fuzz
// targets only.
package fuzztest

import (
	"runtime/metrics"
	"time"
)

// Test is what Bounded needs of a *testing.T.
type Test interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Limits of one call. Both stand for "not more than its input is worth": what grows with the square
// of its input, or is told by it how much to reserve, is beyond them within a megabyte.
const (
	longest   = 10 * time.Second // of any input; the machine may have other work
	allocated = 64 << 20         // bytes, of an input of none
)

// allocations counts the bytes that the process has allocated, freed ones too.
const allocations = "/gc/heap/allocs:bytes"

// Bounded runs do over an input of so many bytes, and fails where it takes too long or allocates
// more than 64 MiB and perByte for each byte of the input. One call runs at a time in a process.
func Bounded(t Test, input int, perByte uint64, do func()) {
	t.Helper()
	before, began := bytes(), time.Now()
	do()
	if took := time.Since(began); took > longest {
		t.Fatalf("an input of %d bytes took %s", input, took)
	}
	if n := bytes() - before; n > allocated+perByte*uint64(input) { //nolint:gosec // a length
		t.Fatalf("an input of %d bytes made it allocate %d bytes", input, n)
	}
}

func bytes() uint64 {
	s := []metrics.Sample{{Name: allocations}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
