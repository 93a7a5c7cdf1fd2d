package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// control is a protection that is switched off in a build of its own, the cell that must notice,
// and a part of what it then says. The shipped binary has no such switch.
type control struct {
	name  string
	cell  string
	says  string
	edits []edit
}

const moveSQL = "replication/postgres/move.sql"

var controls = []control{
	{"token comparison", "protocol/open/after a later try went back", `"open", wanted ["superseded"]`, []edit{{moveSQL,
		"SELECT f.token > p_token OR f.token = p_token AND f.owner",
		"SELECT f.token = p_token AND f.owner"}}},
	{"owner comparison", "protocol/fence/two tries of one token", `"fenced", wanted ["superseded"]`, []edit{{moveSQL,
		"SELECT f.token > p_token OR f.token = p_token AND f.owner IS DISTINCT FROM p_owner", "SELECT f.token > p_token"}}},
	{"lease at the seal", "protocol/seal/past the lease", `"sealed", wanted ["expired"]`, []edit{{moveSQL,
		"    WHEN f.state = 'open' OR f.lease_until <= clock_timestamp()   THEN 'expired'",
		"    WHEN NOT seal AND (f.state = 'open' OR f.lease_until <= clock_timestamp()) THEN 'expired'"}}},
	{"lock around the filters", "protocol/seal/two at once", "filters are not as their directions are", []edit{{moveSQL,
		"  PERFORM pg_advisory_xact_lock(725, hashtext(p_pub));\n", ""}}},
	{"FOR SHARE in the guard", "guard/snapshot/older than the fence", "wrote on premises after it", []edit{{moveSQL,
		"  ELSE       SELECT * INTO f FROM drover.fence WHERE tenant = t FOR SHARE; END IF;",
		"  ELSE       SELECT * INTO f FROM drover.fence WHERE tenant = t; END IF;"}}},
	{"the mark", "protocol/open/before the mark has come", `"open", wanted ["behind"]`, []edit{{moveSQL,
		"  IF NOT drover.arrived(ids, p_token, p_owner) THEN RETURN 'behind'; END IF;\n", ""}}},
	{"conditional writes", "files/new file/written late", "lost: file late.txt", []edit{{"replication/files/put.go",
		"in.IfMatch, in.IfNoneMatch = condition(o.etag)", "_, _ = condition(o.etag)"}}},
	{"route reconciliation", "soak/route/changed by hand", "was not healed", []edit{{"activities/health/many.go",
		"_, err := a.router.Reconcile(ctx, spec, wanted)", "var err error"}}},
	{"control sample", "bake/worker/reaches nothing", "taken home although nothing was wrong", []edit{{"health/control.go",
		"return \"this worker reaches nothing", "return \"\" // \"this worker reaches nothing"}}},
	{"audit in the soak", "soak/fences/seal forgotten", "premises took writes for longer than", []edit{{"workflows/replication/audit.go",
		"		r.audit(ctx)\n", "		_ = r.audit\n"}}},
}

func (c control) result() string { return "control/" + c.name }

// build builds the product with the protection off.
func (c control) build(ctx context.Context) (binaries, func(), error) {
	var edits []edit
	for _, e := range c.edits {
		e.path = filepath.Join(root(), filepath.FromSlash(e.path))
		edits = append(edits, e)
	}
	bin, clean, err := overlaid(ctx, edits...)
	if err != nil {
		return bin, nil, fmt.Errorf("control %q: %w", c.name, err)
	}
	return bin, clean, nil
}

// control runs a control: its cell must not pass, for the reason that the control names.
func (m *matrix) control(ctx context.Context, c control) error {
	began := time.Now()
	bin, clean, err := c.build(ctx)
	if err != nil {
		return err
	}
	defer clean()
	r, err := startRig(ctx, m.tools, filepath.Join(m.out, "faults-lab"), bin, shape(chainCustomers))
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.aloft(ctx, aloftLimit); err != nil {
		return fmt.Errorf("control %q: %w", c.name, err)
	}
	for _, x := range m.cells() {
		if x.name != c.cell {
			continue
		}
		got := r.run(ctx, x, r.Shape.Customers()[0], r.Shape.Customers()[1])
		caught := slices.ContainsFunc(got.Broken, func(b string) bool { return strings.Contains(b, c.says) })
		res := result{Cell: c.result(), Passed: caught, Note: c.cell + ": " + strings.Join(got.Broken, "; "), At: began,
			Seconds: time.Since(began).Seconds()}
		m.say("%s: caught %t: %s", res.Cell, res.Passed, first(res.Note))
		return m.add(res)
	}
	return fmt.Errorf("control %q: there is no cell %q", c.name, c.cell)
}

// controls runs those that are due.
func (m *matrix) controls(ctx context.Context) error {
	for _, c := range controls {
		if m.over(ctx) || !m.isDue(c.result()) {
			continue
		}
		if err := m.control(ctx, c); err != nil {
			return err
		}
	}
	return nil
}
