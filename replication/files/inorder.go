package files

import (
	"context"
	"iter"
	"sync"
)

// inOrder runs tasks, up to ahead of them before their turn, and gives their results in the order
// of the tasks. It ends with the first error. When it returns, no task runs any more.
func inOrder[T any](ctx context.Context, ahead int, tasks iter.Seq[func(context.Context) (T, error)]) iter.Seq2[T, error] {
	type result struct {
		value T
		err   error
	}
	return func(yield func(T, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		turns := make(chan chan result, ahead)
		running.Go(func() {
			defer close(turns)
			for task := range tasks {
				turn := make(chan result, 1)
				select {
				case turns <- turn:
				case <-ctx.Done():
					return
				}
				running.Go(func() {
					v, err := task(ctx)
					turn <- result{v, err}
				})
			}
		})
		for turn := range turns {
			r := <-turn
			if !yield(r.value, r.err) || r.err != nil {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			var none T
			yield(none, err)
		}
	}
}

// cursor reads a stream of batches item by item.
type cursor[T any] struct {
	next  func() ([]T, error, bool)
	stop  func()
	batch []T
}

func read[T any](s iter.Seq2[[]T, error]) *cursor[T] {
	c := &cursor[T]{}
	c.next, c.stop = iter.Pull2(s)
	return c
}

// nothing is a stream without items.
func nothing[T any](func([]T, error) bool) {} //nolint:revive // an iterator

// peek gives the item that pop takes; nil: there is none left.
func (c *cursor[T]) peek() (*T, error) {
	for len(c.batch) == 0 {
		batch, err, ok := c.next()
		if err != nil || !ok {
			return nil, err
		}
		c.batch = batch
	}
	return &c.batch[0], nil
}

func (c *cursor[T]) pop() { c.batch = c.batch[1:] }
