package app

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Fault is what one host of this process suffers from.
type Fault struct {
	Host    string `json:"host,omitempty"` // a customer's host name; "*": all
	Tenant  int64  `json:"tenant,omitempty"`
	Mode    string `json:"mode"`              // error500 | slow | off
	DelayMS int    `json:"delayMs,omitempty"` // of slow; 0: 2000
}

const defaultDelay = 2 * time.Second

// faults holds the faults of a process, the latest for each host or tenant.
type faults struct {
	mu sync.RWMutex
	by map[Fault]Fault // key: Host and Tenant alone
}

func (f *faults) set(x Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if x.Host == "" && x.Tenant == 0 {
		x.Host = "*"
	}
	k := Fault{Host: x.Host, Tenant: x.Tenant}
	switch {
	case x.Mode != "off":
		if f.by == nil {
			f.by = map[Fault]Fault{}
		}
		f.by[k] = x
	case x.Host == "*":
		f.by = nil
	default:
		delete(f.by, k)
	}
}

func (f *faults) of(host string, tenant int64) (Fault, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, k := range []Fault{{Host: host}, {Tenant: tenant}, {Host: "*"}} {
		if x, ok := f.by[k]; ok && k != (Fault{}) {
			return x, true
		}
	}
	return Fault{}, false
}

// suffer answers for a faulty host and says whether it did.
func (f *faults) suffer(w http.ResponseWriter, r *http.Request, host string, tenant int64) bool {
	x, ok := f.of(host, tenant)
	if !ok {
		return false
	}
	if x.Mode == "error500" {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return true
	}
	delay := defaultDelay
	if x.DelayMS > 0 {
		delay = time.Duration(x.DelayMS) * time.Millisecond
	}
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
	}
	return false
}

// ServeHTTP is POST /fault with a Fault, and GET /fault for those there are.
func (f *faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		var x Fault
		if err := json.NewDecoder(r.Body).Decode(&x); err != nil || x.Mode != "error500" && x.Mode != "slow" && x.Mode != "off" {
			http.Error(w, "want {host or tenant, mode: error500 | slow | off}", http.StatusBadRequest)
			return
		}
		f.set(x)
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	all := []Fault{}
	for _, x := range f.by {
		all = append(all, x)
	}
	_ = json.NewEncoder(w).Encode(all)
}
