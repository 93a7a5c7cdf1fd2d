package files

import (
	"context"
	"sync"
	"time"
)

const (
	paceStart = 16 // files at a time, at first
	paceLeast = 8
	// paceQueue is how many requests may wait in the store's queue: fewer, and more are sent at a
	// time; twice as many, and fewer are.
	paceQueue = 4
	// paceMemory is for how many answers the fastest one counts: networks change. Then there are
	// half as many requests for a while, so that there is an answer that met no queue.
	paceMemory = 1000
)

// pace lets as many files travel at a time as make the store no slower. A far store answers each
// request late however few there are, and wants many at a time; a near one that is busy answers
// later the more there are. How many wait in its queue follows from the fastest answer, which met
// none (TCP Vegas' rule).
type pace struct {
	mu       sync.Mutex
	most     int
	limit    float64
	running  int
	waiting  chan struct{} // closed when one has ended; nil: nobody waits
	fastest  time.Duration
	next     time.Duration // the fastest of those after it
	answered int
}

func newPace(most int) *pace {
	return &pace{most: most, limit: float64(min(most, paceStart))}
}

// start waits for its turn.
func (p *pace) start(ctx context.Context) error {
	for {
		p.mu.Lock()
		if p.running < int(p.limit) {
			p.running++
			p.mu.Unlock()
			return ctx.Err()
		}
		if p.waiting == nil {
			p.waiting = make(chan struct{})
		}
		ended := p.waiting
		p.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// end gives the turn back. took is how long it was; 0 says nothing, as of a large file.
func (p *pace) end(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	if took > 0 {
		p.learn(took)
	}
	if p.waiting != nil {
		close(p.waiting)
		p.waiting = nil
	}
}

func (p *pace) learn(took time.Duration) {
	if p.answered++; p.answered%paceMemory == 0 {
		p.fastest, p.next = p.next, took
		p.limit /= 2
	}
	p.next = min(p.next, took)
	if p.fastest == 0 {
		p.fastest, p.next = took, took
	}
	p.fastest = min(p.fastest, took)
	queued := p.limit * (1 - float64(p.fastest)/float64(took))
	switch {
	case queued < 1:
		p.limit += 1. / paceStart
	case queued < paceQueue:
		p.limit += 1 / p.limit
	case queued > 2*paceQueue:
		p.limit -= 1 / p.limit
	}
	p.limit = max(float64(min(paceLeast, p.most)), min(p.limit, float64(p.most)))
}
