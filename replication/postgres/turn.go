package postgres

import "context"

// Turn lets one customer of a process through its freeze at a time. All freezes of a process share
// processors, publications and their locks: side by side each takes as long as all of them, one
// after the other a customer waits before its fence, where it can write.
type Turn struct{ taken chan struct{} }

func newTurn() *Turn { return &Turn{taken: make(chan struct{}, 1)} }

// Take waits for the turn. What it returns gives the turn back; twice is once.
func (t *Turn) Take(ctx context.Context) (give func(), err error) {
	select {
	case t.taken <- struct{}{}:
	case <-ctx.Done():
		return func() {}, ctx.Err()
	}
	given := false
	return func() {
		if !given {
			given = true
			<-t.taken
		}
	}, nil
}
