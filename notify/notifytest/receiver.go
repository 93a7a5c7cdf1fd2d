package notifytest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// Receiver is an HTTP server that answers what it is told, one after the other, the last for good,
// and keeps what came.
type Receiver struct {
	*httptest.Server
	mu      sync.Mutex
	answers []int
	Header  []http.Header
	Body    []string
}

// Posts are the bodies and headers that have come until now, for a test that does not wait for
// each.
func (r *Receiver) Posts() (bodies []string, headers []http.Header) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.Body), slices.Clone(r.Header)
}

// NewReceiver starts one. The answers are statuses; 0 takes what comes, and dies before it says so.
func NewReceiver(t *testing.T, answers ...int) *Receiver {
	t.Helper()
	r := &Receiver{answers: answers}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.Header, r.Body = append(r.Header, req.Header), append(r.Body, string(body))
		status := r.answers[min(len(r.Body), len(r.answers))-1]
		if status == 0 { // takes it, and dies before it has said so
			panic(http.ErrAbortHandler)
		}
		if status/100 == 3 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}
