package main

import (
	"context"
	"slices"

	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/internal/heartbeat"
)

// trees stand in for the activities over files, under their names: nothing has ever changed.
type trees struct{ *below }

// treesAtOnce is how many customers the real activity passes over at a time.
const treesAtOnce = 4

// CheckFiles finds nothing in the way.
func (t trees) CheckFiles(ctx context.Context, _ files.CheckFilesRequest) (r files.CheckFilesResult, err error) {
	return r, t.beating(ctx, ms(11, 11), nothing)
}

// PassFiles passes over the files of some customers. Cut off, it says whose turn is over.
func (t trees) PassFiles(ctx context.Context, req files.PassFilesRequest) (r files.PassFilesResult, err error) {
	_, stop := heartbeat.Saying[files.PassBeat](context.WithoutCancel(ctx))
	defer stop()
	err = t.call(ctx, ms(0, 0), func() error {
		for some := range slices.Chunk(req.Customers, treesAtOnce) {
			if err := pause(ctx, passed.once()); err != nil {
				return err
			}
			for _, c := range some {
				r.Passed = append(r.Passed, c.ID)
			}
		}
		return nil
	})
	if ctx.Err() != nil {
		return r, temporal.NewCanceledError(r)
	}
	return r, err
}

// passed is how long the pass of a customer takes in which little has changed.
var passed = ms(50, 127)
