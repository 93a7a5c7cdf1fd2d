package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Tenant is whom a host name belongs to.
type Tenant struct {
	Customer string `json:"customer"`
	Tenant   int64  `json:"tenant"`
}

// tenants is the table of hosts, read again when an unknown one turns up.
type tenants struct {
	from string // file or URL

	mu   sync.RWMutex
	by   map[string]Tenant
	read time.Time
}

// reread is how often an unknown host may cause the table to be read.
const reread = time.Second

func (t *tenants) load(ctx context.Context) error {
	var body []byte
	var err error
	if strings.HasPrefix(t.from, "http://") || strings.HasPrefix(t.from, "https://") {
		body, err = fetch(ctx, t.from)
	} else {
		body, err = os.ReadFile(t.from)
	}
	if err != nil {
		return fmt.Errorf("read table of tenants: %w", err)
	}
	by := map[string]Tenant{}
	if err := json.Unmarshal(body, &by); err != nil {
		return fmt.Errorf("read table of tenants %s: %w", t.from, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.by, t.read = by, time.Now()
	return nil
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, res.Status)
	}
	return io.ReadAll(io.LimitReader(res.Body, 16<<20))
}

// of finds the tenant of a Host header.
func (t *tenants) of(ctx context.Context, host string) (Tenant, bool) {
	host, _, _ = strings.Cut(host, ":")
	t.mu.RLock()
	v, ok := t.by[host]
	old := time.Since(t.read) > reread
	t.mu.RUnlock()
	if !ok && old && t.load(ctx) == nil {
		t.mu.RLock()
		v, ok = t.by[host]
		t.mu.RUnlock()
	}
	return v, ok
}
