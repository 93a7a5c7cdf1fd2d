package load

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Summary of a Load. Times are milliseconds.
type Summary struct {
	Requests        int            `json:"requests"` // each once, however often it was tried
	FailedRequests  int            `json:"failed_requests"`
	RetriedRequests int            `json:"retried_requests"`
	AckedWrites     int            `json:"acked_writes"`
	StallP99        int64          `json:"stall_p99_ms"` // of the clients' longest waits
	StallMax        int64          `json:"stall_max_ms"`
	FaultedStallMax int64          `json:"faulted_stall_max_ms"` // from a break to the first good answer
	Unanswered      []string       `json:"unanswered,omitempty"` // customers that were broken and have had no good answer since
	Longest         map[string]int `json:"longest_ms"`           // of each customer, outside of faults
	Faulted         map[string]int `json:"faulted_ms,omitempty"` // of each customer that was broken, the longest
	Failures        []string       `json:"failures,omitempty"`   // the first few
}

// maxFailures is how many failures are kept word for word.
const maxFailures = 20

type fault struct {
	began     time.Time
	recovered time.Time // first good answer to an attempt that began after; zero: none yet
	ended     bool      // the lab has repaired it
}

// score is the books of all clients.
type score struct {
	mu       sync.Mutex
	sum      Summary
	clients  map[string]time.Duration // client -> longest wait outside of faults
	longest  map[string]time.Duration // customer -> the same
	faulted  map[string]time.Duration // customer -> longest from a break to a good answer
	faults   map[string]*fault        // customer -> its latest fault
	failures []string
}

func newScore() score {
	return score{clients: map[string]time.Duration{}, longest: map[string]time.Duration{}, faulted: map[string]time.Duration{},
		faults: map[string]*fault{}}
}

// request counts a request that is over.
func (s *score) request(write bool, attempts int, err error, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.Requests++
	if attempts > 1 {
		s.sum.RetriedRequests++
	}
	if err != nil {
		s.sum.FailedRequests++
		s.keep(what + ": " + err.Error())
	} else if write {
		s.sum.AckedWrites++
	}
}

// good records a good answer to a request that was first tried at first, by an attempt from began
// to ended. A wait counts as the fault's own if it began before the customer had recovered, or if
// it met an error of a fault that the lab has not repaired yet.
func (s *score) good(customer, client string, first, began, ended time.Time, sawError bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.faults[customer]; f != nil && ended.After(f.began) {
		if f.recovered.IsZero() && began.After(f.began) {
			f.recovered = ended
			s.faulted[customer] = max(s.faulted[customer], ended.Sub(f.began))
		}
		if f.recovered.IsZero() || first.Before(f.recovered) || sawError && !f.ended {
			return
		}
	}
	wait := ended.Sub(first)
	s.clients[client] = max(s.clients[client], wait)
	s.longest[customer] = max(s.longest[customer], wait)
}

func (s *score) faultStart(customer string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[customer] = &fault{began: at}
}

func (s *score) faultEnd(customer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.faults[customer]; f != nil {
		f.ended = true
	}
}

// complain records something that is wrong with the books themselves.
func (s *score) complain(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.FailedRequests++
	s.keep(what)
}

func (s *score) keep(what string) {
	if len(s.failures) < maxFailures {
		s.failures = append(s.failures, what)
	}
}

func (s *score) summary() Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.sum
	out.Failures = slices.Clone(s.failures)
	out.Longest, out.Faulted = milliseconds(s.longest), milliseconds(s.faulted)
	waits := slices.Sorted(maps.Values(s.clients))
	if n := len(waits); n > 0 {
		out.StallP99, out.StallMax = waits[(n*99+99)/100-1].Milliseconds(), waits[n-1].Milliseconds()
	}
	for _, d := range s.faulted {
		out.FaultedStallMax = max(out.FaultedStallMax, d.Milliseconds())
	}
	for c, f := range s.faults {
		if f.recovered.IsZero() {
			out.Unanswered = append(out.Unanswered, c)
		}
	}
	slices.Sort(out.Unanswered)
	return out
}

func milliseconds(in map[string]time.Duration) map[string]int {
	out := map[string]int{}
	for k, v := range in {
		out[k] = int(v.Milliseconds())
	}
	return out
}
