package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// usage is what a process has used since it began.
type usage struct {
	cpu  float64 // seconds, user and system
	peak int64   // bytes of memory, the most at a time
}

// ticks a second of the kernel's times in /proc: USER_HZ, which is 100 on every architecture that
// Go runs on.
const ticks = 100

// used reads what a process has used.
func used(pid int) (u usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name may have blanks
	f := strings.Fields(rest)
	if len(f) < 13 {
		return u, fmt.Errorf("read the times of process %d: %q", pid, stat)
	}
	for _, field := range f[11:13] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return u, fmt.Errorf("read the times of process %d: %w", pid, err)
		}
		u.cpu += n / ticks
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")), 10, 64)
			if err != nil {
				return u, fmt.Errorf("read the memory of process %d: %w", pid, err)
			}
			u.peak = n << 10
		}
	}
	return u, nil
}

// sizeOf is what a database takes on disk, with its log.
func sizeOf(db string) (n int64) {
	files, _ := filepath.Glob(db + "*")
	for _, f := range files {
		if i, err := os.Stat(f); err == nil {
			n += i.Size()
		}
	}
	return n
}
