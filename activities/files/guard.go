package files

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// fresh is how long an answer of the home record serves the effects that follow it: several files
// are carried at a time, and each would ask. What a pass could do in this time on a side that has
// just become home is stopped by the conditions of its writes.
const fresh = 50 * time.Millisecond

// guard asks the home record on behalf of one pass.
type guard struct {
	homes Homes
	req   FilesRequest

	mu    sync.Mutex
	asked time.Time
	last  migration.HomeRecord
	token int64 // the highest when the pass began
}

func (a *Activities) guard(ctx context.Context, req FilesRequest) (*guard, error) {
	switch {
	case req.Dataset.Files == nil || !req.From.Valid():
		return nil, permanent.New("BadRequest", nil,
			"dataset %q has no files, or %q is no side", req.Dataset.Name, req.From)
	case req.Fence == nil:
		return nil, permanent.New("NoFence", nil,
			"dataset %q is fenced by no database; give it fencedBy in the plan", req.Dataset.Name)
	}
	g := &guard{homes: a.homes, req: req}
	h, err := g.home(ctx)
	g.token = h.Token()
	return g, err
}

func (g *guard) home(ctx context.Context) (migration.HomeRecord, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.asked) < fresh {
		return g.last, nil
	}
	began := time.Now()
	h, err := g.homes.Home(ctx, g.req.Plan, *g.req.Fence, g.req.FenceTarget, g.req.Customer.Tenant)
	if err != nil {
		return h, fmt.Errorf("read the home record: %w", err)
	}
	g.asked, g.last = began, h
	return h, nil
}

// warm allows a pass while the customer is homed where the request says and no Move has begun since
// the pass did.
func (g *guard) warm(ctx context.Context) error {
	h, err := g.home(ctx)
	switch {
	case err != nil:
		return err
	case h.Undecided() != "":
		return fmt.Errorf("its data names no home, and no pass touches it: %s", h.Undecided())
	case h.Home() != g.req.From:
		return permanent.New("NotHome", nil,
			"its home is %s, and this pass would overwrite what it has there with what %s has", h.Home(), g.req.From)
	case h.Token() != g.token || !h.Settled():
		return errors.New("a Move has begun: this pass yields to it")
	}
	return nil
}
