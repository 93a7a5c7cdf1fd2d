package health

import (
	"context"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/drover-migration/drover/migration"
)

// tokenVar stands for an id of its own for each write, in the path and the body of a write probe.
const tokenVar = "{token}"

// written makes one write at a machine, for the tenant that the plan made up, and takes it away
// again. All who watch customers of one machine share the answer: a side that takes no writes takes
// none of anybody. It is run to its end whatever becomes of the caller, so that only a worker that
// is killed between the two leaves a write behind, of that tenant.
func (d *Doctor) written(ctx context.Context, at Endpoint, p migration.Probe) sample {
	s, ok := d.writes.ask(ctx, at.Address+" "+name(p), p.Every.D()/2, func(ctx context.Context) sample {
		return d.prober.write(ctx, at, p)
	})
	if !ok {
		return sample{answer: "the write was not waited for", unasked: true}
	}
	return s
}

func (p *prober) write(ctx context.Context, at Endpoint, probe migration.Probe) sample {
	w, token := probe.Write, uuid.NewString()
	with := func(text string) string { return strings.ReplaceAll(text, tokenVar, token) }
	s, status := p.send(ctx, p.machines, at, probe.Timeout.D(),
		request{method: w.Method, host: w.Host, path: with(w.Path), kind: w.Type, body: with(w.Body)})
	s.ok = status == w.Expect
	if s.unreached {
		return s // it was not sent
	}
	cleaned, status := p.send(ctx, p.machines, at, probe.Timeout.D(),
		request{method: w.Cleanup.Method, host: w.Host, path: with(w.Cleanup.Path)})
	taken := status >= 200 && status < 300 || status == http.StatusNotFound
	if s.ok && !taken {
		s.ok, s.answer = false, s.answer+", and what was written could not be taken away again: "+cleaned.answer
	}
	return s
}
