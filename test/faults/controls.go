package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// control is a protection that is switched off in a build of its own, and the cell that must
// notice. The shipped binary has no such switch.
type control struct {
	name string
	file string // of the module
	edit [2]string
	cell string
}

const moveSQL = "replication/postgres/move.sql"

var controls = []control{
	{"token comparison", moveSQL, [2]string{"SELECT f.token > p_token OR f.token = p_token AND f.owner",
		"SELECT f.token = p_token AND f.owner"},
		"freeze/aws/open@aws/late"},
	{"owner comparison", moveSQL, [2]string{"SELECT f.token > p_token OR f.token = p_token AND f.owner IS DISTINCT FROM p_owner",
		"SELECT f.token > p_token"}, "protocol/fence/two tries of one token"},
	{"lease at the seal", moveSQL, [2]string{"    WHEN f.state = 'open' OR f.lease_until <= clock_timestamp()   THEN 'expired'",
		"    WHEN NOT seal AND (f.state = 'open' OR f.lease_until <= clock_timestamp()) THEN 'expired'"},
		"freeze/aws/seal@onprem/past the lease"},
	{"lock around the filters", moveSQL, [2]string{"  PERFORM pg_advisory_xact_lock(725, hashtext(p_pub));\n", ""},
		"protocol/seal/two at once"},
	{"FOR SHARE in the guard", moveSQL, [2]string{
		"  ELSE       SELECT * INTO f FROM drover.fence WHERE tenant = t FOR SHARE; END IF;",
		"  ELSE       SELECT * INTO f FROM drover.fence WHERE tenant = t; END IF;",
	}, "guard/snapshot/older than the fence"},
	{"the mark", moveSQL, [2]string{"  IF NOT drover.arrived(ids, p_token, p_owner) THEN RETURN 'behind'; END IF;\n", ""},
		"protocol/open/before the mark has come"},
	{"conditional writes", "replication/files/put.go", [2]string{
		"in.IfMatch, in.IfNoneMatch = condition(o.etag)", "_, _ = condition(o.etag)",
	}, "files/new file/written late"},
	{"route reconciliation", "workflows/customer/phases.go", [2]string{`if r := c.routed(ctx); r != "" {
		waits`, `if r := ""; r != "" {
		waits`}, "soak/route/changed by hand"},
	{"control sample", "health/control.go", [2]string{`return "this worker reaches nothing`, `return "" // "this worker reaches nothing`},
		"bake/worker/reaches nothing"},
	{"audit in the soak", "workflows/replication/audit.go", [2]string{"		r.audit(ctx)\n", "		_ = r.audit\n"},
		"soak/fences/seal forgotten"},
}

func (c control) result() string { return "control/" + c.name }

// build builds the product with the protection off.
func (c control) build(ctx context.Context) (binaries, func(), error) {
	bin, clean, err := overlaid(ctx, filepath.Join(root(), filepath.FromSlash(c.file)), c.edit[0], c.edit[1])
	if err != nil {
		return bin, nil, fmt.Errorf("control %q: %w", c.name, err)
	}
	return bin, clean, nil
}

// control runs a control: its cell must not pass.
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
		res := result{Cell: c.result(), Passed: !got.Passed, Note: c.cell + ": " + strings.Join(got.Broken, "; "), At: began,
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
