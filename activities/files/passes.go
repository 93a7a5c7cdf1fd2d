package files

import (
	"context"
	"time"

	engine "github.com/drover-migration/drover/replication/files"
)

// Passes begins the last passes of Moves, for the activity that a freeze is. It uses what the
// activities have.
type Passes struct{ of *Activities }

// NewPasses builds on the activities.
func NewPasses(a *Activities) Passes { return Passes{of: a} }

// LastPass is one to come, inside a freeze.
type LastPass struct {
	job *engine.Job
	run *engine.Run // nil: no warm pass was made before it
}

// Begin makes a warm pass, if warm, which refuses if the home record names another home, and stops
// as soon as a Move begins. Call Close.
func (p Passes) Begin(ctx context.Context, req FilesRequest, warm bool) (*LastPass, error) {
	g, err := p.of.guard(ctx, req)
	if err != nil {
		return nil, err
	}
	job, err := p.of.job(ctx, req, g.warm)
	if err != nil || !warm {
		return &LastPass{job: job}, err
	}
	if err := g.warm(ctx); err != nil {
		return nil, err
	}
	run, err := job.Warm(ctx)
	return &LastPass{job: job, run: run}, classify(err)
}

// Predicted is how long Final takes if nothing changes until then; 0: not known.
func (p *LastPass) Predicted() time.Duration {
	if p.run == nil {
		return 0
	}
	return p.run.Predicted()
}

// Final makes both sides equal, held against each other by checksums, or fails. allowed is asked
// immediately before every effect.
//
// Run twice, the second finds nothing to carry. As a zombie, or after the lease, it changes
// nothing: the fence is no longer its own.
func (p *LastPass) Final(ctx context.Context, allowed func(context.Context) error) (FilesResult, error) {
	var r engine.Result
	var err error
	if p.run != nil {
		r, err = p.run.Final(ctx, allowed)
	} else {
		p.job.Allowed = allowed
		r, err = p.job.Final(ctx)
	}
	return result(r), classify(err)
}

// Close lets go of the customer's folder.
func (p *LastPass) Close() {
	if p.run != nil {
		p.run.Close()
	}
}
