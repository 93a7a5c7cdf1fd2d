package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/drover-migration/drover/migration"
)

// clockCells start a worker beside the others whose clock is off: it is refused by name, and the
// others go on.
func clockCells() (out []cell) {
	for _, off := range []time.Duration{5 * time.Second, time.Hour} {
		out = append(out, cell{name: fmt.Sprintf("clock/a worker/%s ahead", off), from: migration.AWS, play: func(p *play) error {
			return p.skewed(off)
		}})
	}
	return out
}

// buildSkewable builds the product with a clock that goes ahead by as many seconds as FAULTS_AHEAD
// has letters: Go's own time package, which can read no numbers, changed for this build. All
// that uses it is built anew, which takes both cores for minutes where no earlier run has left it
// in the build cache: no cell may run beside it.
func buildSkewable(ctx context.Context) (drover string, clean func(), err error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", nil, err
	}
	path := filepath.Join(strings.TrimSpace(string(out)), "src", "time", "time.go")
	const now = "func Now() Time {\n	sec, nsec, mono := runtimeNow()\n"
	ahead := "var faultsAhead, _ = syscall.Getenv(\"FAULTS_AHEAD\")\n\n" + now + "	sec += int64(len(faultsAhead))\n"
	bin, clean, err := overlaid(ctx, edit{path, now, ahead},
		edit{path, "	_ \"unsafe\"", "	\"syscall\"\n	_ \"unsafe\""})
	return bin.drover, clean, err
}

// skewed starts a worker whose clock goes ahead.
func (p *play) skewed(off time.Duration) error {
	script := fmt.Sprintf("#!/bin/sh\nFAULTS_AHEAD=%s exec %s \"$@\"\n", strings.Repeat("s", int(off/time.Second)), p.binary.skewable)
	binary := filepath.Join(p.dir, "skewed-"+off.String())
	if err := os.WriteFile(binary, []byte(script), 0o755); err != nil {
		return err
	}
	w, err := p.StartWorker("skewed-"+off.String(), binary, p.workers[0].gate.Address(), "--site", "dc1")
	if err != nil {
		return err
	}
	defer w.Close()
	select {
	case <-w.Done():
	case <-time.After(settleLimit):
		return fmt.Errorf("a worker whose clock is %s ahead is not refused", off)
	}
	log, err := os.ReadFile(filepath.Join(p.dir, "workers", "skewed-"+off.String()+".log"))
	if err != nil || !strings.Contains(string(log), "the clock of this machine is") {
		return fmt.Errorf("a worker whose clock is %s ahead ended without saying why: %w %s", off, err, log)
	}
	return p.there(migration.OnPrem)
}

// edit is a text of a file that stands there once, and what stands there instead.
type edit struct{ path, old, new string }

// overlaid builds the product with edits that are in no file of it.
func overlaid(ctx context.Context, edits ...edit) (binaries, func(), error) {
	dir, err := os.MkdirTemp("", "drover-overlay-")
	if err != nil {
		return binaries{}, nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	replace := map[string]string{} // file -> what stands in for it
	for i, e := range edits {
		from := e.path
		if edited, ok := replace[e.path]; ok {
			from = edited
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return binaries{}, nil, err
		}
		if n := strings.Count(string(text), e.old); n != 1 {
			return binaries{}, nil, fmt.Errorf("%s has the text %q %d times: change the edit with the file", e.path, e.old, n)
		}
		replace[e.path] = filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(replace[e.path], []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o644); err != nil {
			return binaries{}, nil, err
		}
	}
	overlay := filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err := errors.Join(err, os.WriteFile(overlay, list, 0o644)); err != nil {
		return binaries{}, nil, err
	}
	return build(ctx, "-overlay", overlay)
}

// lastCell is the end of the matrix's lab: nothing was made twice, and nothing is left.
func (m *matrix) lastCell() cell {
	return cell{name: "end/of the lab/nothing is left", alone: true, shares: settleLimit, play: func(p *play) error {
		made, err := p.Made(p.ctx)
		if err != nil {
			return err
		}
		if !maps.Equal(made, m.points.Made) {
			return fmt.Errorf("AWS has %v, without faults it has %v", made, m.points.Made)
		}
		if err := p.away(p.ctx); err != nil {
			return err
		}
		return p.idle()
	}}
}

// busyStack is a goroutine that carries out an activity.
var busyStack = regexp.MustCompile(`(?m)^github\.com/drover-migration/drover/activities/.*$`)

// idle ends the workers with a dump of their goroutines: none carries out an activity any more.
func (r *rig) idle() error {
	for _, h := range r.workers {
		h.mu.Lock()
		proc, name := h.proc, fmt.Sprintf("%s-%03d.log", h.name, h.starts)
		h.proc = nil
		h.mu.Unlock()
		if proc == nil {
			continue
		}
		if err := proc.Signal(syscall.SIGQUIT); err != nil {
			return fmt.Errorf("ask %s for its goroutines: %w", h.name, err)
		}
		<-proc.Done()
		log, err := os.ReadFile(filepath.Join(r.dir, "workers", name))
		if err != nil {
			return err
		}
		if left := busyStack.FindAllString(string(log), -1); len(left) > 0 {
			return fmt.Errorf("%s has goroutines left: %s", h.name, strings.Join(left, "; "))
		}
	}
	return nil
}

// leftOut are cells that the matrix does not have, and why.
func leftOut() []cell {
	return []cell{
		{name: "system/a worker/disk full",
			skip: "a worker writes to no disk of its own; the folders of customers' files are the application's"},
		{name: "clock/a worker/behind", skip: "the same comparison as ahead, and shown by a test of package worker"},
	}
}
