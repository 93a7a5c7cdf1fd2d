package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// result is how a cell ended.
type result struct {
	Cell        string    `json:"cell"`
	Passed      bool      `json:"passed"`
	Left        string    `json:"left,omitempty"`     // why it was left out: it did not run
	Resolved    string    `json:"resolved,omitempty"` // how the customer came to rest, where not by itself
	Note        string    `json:"note,omitempty"`
	Broken      []string  `json:"broken,omitempty"`
	Lost        int       `json:"lost_writes"`
	Doubled     int       `json:"duplicate_writes"`
	Misplaced   int       `json:"misplaced_rows"`
	Invariants  int       `json:"invariants_broken"`
	Misreported int       `json:"misreported"`
	Writes      int       `json:"writes"`  // acknowledged
	Samples     int       `json:"samples"` // of status against fences
	Seconds     float64   `json:"seconds"`
	At          time.Time `json:"at"`
}

// book keeps the results of all runs: a line each, the last of a cell counts.
type book struct {
	path string

	mu  sync.Mutex
	all map[string]result
}

// openBook reads what earlier runs have left.
func openBook(path string) (*book, error) {
	b := &book{path: path, all: map[string]result{}}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err == nil { // a line that was cut short is a cell that has not ended
			b.all[r.Cell] = r
		}
	}
	return b, lines.Err()
}

func (b *book) has(name string) (result, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.all[name]
	return r, ok
}

// add writes a result down at once.
func (b *book) add(r result) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all[r.Cell] = r
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(b.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// summary is out/faults.json.
type summary struct {
	Cases       int `json:"cases"`
	Passed      int `json:"passed"`
	Lost        int `json:"lost_writes"`
	Doubled     int `json:"duplicate_writes"`
	Misplaced   int `json:"misplaced_rows"`
	Invariants  int `json:"invariants_broken"`
	Misreported int `json:"misreported"`
	Controls    int `json:"controls"`
	Caught      int `json:"controls_caught"`
	LeftOut     int `json:"left_out"`
	Pending     int `json:"not_run"` // derived, without a result
	Writes      int `json:"acked_writes"`
	Samples     int `json:"status_samples"`
}

// sum adds up the results. Those of controls must fail, and count apart.
func sum(all []result) (s summary) {
	for _, r := range all {
		switch {
		case r.Left != "":
			s.LeftOut++
		case strings.HasPrefix(r.Cell, "control/"):
			s.Controls++
			if r.Passed {
				s.Caught++
			}
		default:
			s.Cases++
			if r.Passed {
				s.Passed++
			}
			s.Lost += r.Lost
			s.Doubled += r.Doubled
			s.Misplaced += r.Misplaced
			s.Invariants += r.Invariants
			s.Misreported += r.Misreported
			s.Writes += r.Writes
			s.Samples += r.Samples
		}
	}
	return s
}

// matches says whether a name is meant by one of some patterns, between commas: its parts, between
// slashes, one by one. What a pattern does not name may be anything.
func matches(patterns, name string) bool {
	return patterns == "" || slices.ContainsFunc(strings.Split(patterns, ","), func(p string) bool { return meant(p, name) })
}

func meant(pattern, name string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(name, "/")
	if len(want) > len(have) {
		return false
	}
	for i, w := range want {
		if ok, err := path.Match(w, have[i]); err != nil || !ok {
			return false
		}
	}
	return true
}
