package web

import (
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/board"
)

// alive is how often a stream without changes says that it lives. The page takes three of them
// missing for a lost connection.
const alive = 5 * time.Second

// streams counts the open streams.
type streams struct {
	limits Limits

	mu  sync.Mutex
	all int
	by  map[string]int // session, and customer of guests
}

func newStreams(l Limits) *streams { return &streams{limits: l, by: map[string]int{}} }

// ofOneLink is how many times the streams of one session all guests of a customer have: a link
// opens as many sessions as its holder likes.
const ofOneLink = 5

// claims are what a stream is counted under, with how many there may be.
func (s *streams) claims(who access.Identity) map[string]int {
	out := map[string]int{who.Session: s.limits.Streams}
	if who.Role == access.Guest {
		out[who.Plan+"/"+who.Customer] = ofOneLink * s.limits.Streams
	}
	return out
}

func (s *streams) enter(who access.Identity) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	claims := s.claims(who)
	for key, most := range claims {
		if s.by[key] >= most {
			return false
		}
	}
	if s.all >= s.limits.Viewers {
		return false
	}
	s.all++
	for key := range claims {
		s.by[key]++
	}
	return true
}

func (s *streams) exit(who access.Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	for key := range s.claims(who) {
		if s.by[key]--; s.by[key] == 0 {
			delete(s.by, key)
		}
	}
}

func (s *Server) boardEvents(w http.ResponseWriter, r *http.Request, who access.Identity) {
	s.events(w, r, who, func(snap *board.Snapshot) any { return snap.Version })
}

// customerEvents tells of one customer's changes alone: how often others change is not for a guest.
func (s *Server) customerEvents(w http.ResponseWriter, r *http.Request, who access.Identity) {
	id := r.PathValue("customer")
	type seen struct {
		customer board.Customer
		batch    board.Batch
		trouble  string
	}
	s.events(w, r, who, func(snap *board.Snapshot) any {
		c, _ := snap.Customer(id)
		b, _ := snap.Batch(c.Status.Batch)
		out := seen{customer: c}
		if who.Role != access.Guest {
			out.batch = b
		} else {
			out.batch.Phase, out.batch.WaitingFor, out.batch.Window = b.Phase, b.WaitingFor, b.Window
		}
		if snap.Trouble != nil {
			out.trouble = snap.Trouble.Words()
		}
		return out
	})
}

// events streams a line for every change of what of names, and one every few seconds for the time
// of the last reading. The page asks for its new content itself.
func (s *Server) events(w http.ResponseWriter, r *http.Request, who access.Identity, of func(*board.Snapshot) any) {
	f, err := s.Hub.Follow(r.Context(), r.PathValue("plan"))
	if err != nil {
		s.failBy(w, r, who, err)
		return
	}
	if !s.live.enter(who) {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many pages of this board are open", http.StatusServiceUnavailable)
		return
	}
	defer s.live.exit(who)
	changed, stop := f.Watch()
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	say := func(event string, snap *board.Snapshot) bool {
		_ = out.SetWriteDeadline(time.Now().Add(2 * alive))
		_, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, snap.At.UTC().Format(time.RFC3339))
		return err == nil && out.Flush() == nil
	}
	tick := time.NewTicker(alive)
	defer tick.Stop()
	snap := f.Snapshot(r.Context())
	last, event := of(snap), "alive"
	if r.URL.Query().Get("v") != strconv.FormatUint(snap.Version, 10) { // it has changed since the page was made
		event = "changed"
	}
	for ; say(event, snap); snap = f.Snapshot(r.Context()) {
		select {
		case <-r.Context().Done():
			return
		case <-s.leave.Done():
			return
		case <-tick.C:
			if _, ok := s.Sessions.Of(r); !ok { // signed out, run out, or taken out of the file
				return
			}
			event = "alive"
		case <-changed:
			event = "alive"
			if now := of(f.Snapshot(r.Context())); !reflect.DeepEqual(now, last) {
				last, event = now, "changed"
			}
		}
	}
}
