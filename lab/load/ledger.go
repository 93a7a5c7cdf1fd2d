package load

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Kind of a write.
type Kind string

// The kinds of writes, by the table or place that keeps them.
const (
	KindOrder Kind = "order" // orders and order_items, by token
	KindEvent Kind = "event" // events and audit, by token
	KindAdd   Kind = "add"   // blobs, by token, and Amount on acct
	KindFile  Kind = "file"  // blobs, by token, and the file Name with SHA256
)

// Entry is a line of the ledger: a write that was acknowledged, or one that was given up and may or
// may not have happened.
type Entry struct {
	Customer string    `json:"customer"`
	Tenant   int64     `json:"tenant"`
	Kind     Kind      `json:"kind"`
	Token    string    `json:"token"`
	Name     string    `json:"name,omitempty"`   // of a file
	SHA256   string    `json:"sha256,omitempty"` // of a file's content, hex
	Amount   int64     `json:"amount,omitempty"` // of an order in cents, of an add as it is
	What     string    `json:"what,omitempty"`   // an order's SKU, an event's kind
	At       time.Time `json:"at,omitzero"`      // of an event, as the client says it
	First    time.Time `json:"first"`            // first attempt
	Acked    time.Time `json:"acked,omitzero"`   // zero: given up
	Attempts int       `json:"attempts"`
}

// Ledger appends entries to a file, each in one write, so that a killed lab loses no more than the
// line it was at.
type Ledger struct {
	mu sync.Mutex
	f  *os.File
}

// OpenLedger appends to path, creating it.
func OpenLedger(path string) (*Ledger, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	return &Ledger{f: f}, nil
}

// Add appends an entry.
func (l *Ledger) Add(e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.f.Write(append(line, '\n'))
	return err
}

// Close closes the file.
func (l *Ledger) Close() error { return l.f.Close() }

// ReadLedger reads all entries of a file. A last line that was cut short is left out: its write was
// not acknowledged to anybody yet.
func ReadLedger(path string) ([]Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	defer func() { _ = f.Close() }()
	var out []Entry
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("read the ledger, line %d: %w", len(out)+1, err)
		}
		out = append(out, e)
	}
}
