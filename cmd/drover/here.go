package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/worker"
)

// here runs a worker in this process for as long as do takes, on a queue of its own: what do asks
// of that queue needs no other worker. This machine then needs what the workers of the plan have:
// its secrets, and a way to its databases, vCenters and AWS.
func (a *app) here(ctx context.Context, spec *migration.Spec, do func(ctx context.Context, queue string) error) error {
	opts, err := a.options()
	if err != nil {
		return err
	}
	log, err := a.logger()
	if err != nil {
		return err
	}
	o := worker.Options{Client: opts, Main: true, Queue: migration.OwnQueue(uuid.NewString()), Identity: defaultIdentity(), Log: log}
	for _, s := range spec.Sites {
		o.Sites = append(o.Sites, s.Name)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		err := worker.Run(ctx, o)
		ended <- err
		cancel() // nobody else answers
	}()
	err = do(ctx, o.Queue)
	cancel()
	if failed := <-ended; failed != nil && !errors.Is(failed, context.Canceled) {
		return fmt.Errorf("work in this process: %w", failed)
	}
	return err
}
