package routetest

import "sync"

// looks holds up what routers see.
type looks struct {
	mu    sync.Mutex
	holds map[Router]*hold
}

type hold struct{ reached, released chan struct{} }

// hold has the next look of a router wait for release once it has its answer.
func (l *looks) hold(r Router) (reached <-chan struct{}, release func()) {
	h := &hold{make(chan struct{}), make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holds == nil {
		l.holds = map[Router]*hold{}
	}
	l.holds[r] = h
	return h.reached, func() { close(h.released) }
}

// begin is called before a router looks, what it answers when it has its answer.
func (l *looks) begin(r Router) (seen func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.holds[r]
	delete(l.holds, r)
	return func() {
		if h != nil {
			close(h.reached)
			<-h.released
		}
	}
}
