package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"
)

// options of a run.
type options struct {
	tools   string
	out     string // folder of the results
	pattern string
	list    bool
	fresh   bool
	limit   time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.tools, "tools", os.Getenv("DROVER_TOOLS"), "folder of the tools that `make setup` made")
	flag.StringVar(&o.out, "out", "out", "folder of the results")
	flag.StringVar(&o.pattern, "run", "", "only cells of these names, between commas: parts between slashes, with * and ?; they run anew")
	flag.BoolVar(&o.list, "list", false, "list the cells, by the points that the last run has derived")
	flag.BoolVar(&o.fresh, "fresh", false, "forget the results of earlier runs, and derive the points anew")
	flag.DurationVar(&o.limit, "for", 0, "begin no cell after this time; 0: all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := do(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// do runs what was asked for and writes what is known.
func do(ctx context.Context, o options) error {
	if o.tools == "" {
		return errors.New("DROVER_TOOLS names no folder: run `make setup`, then `make test-faults`")
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	if o.fresh {
		for _, name := range []string{bookFile, pointsFile} {
			if err := os.Remove(filepath.Join(o.out, name)); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
	}
	b, err := openBook(filepath.Join(o.out, bookFile))
	if err != nil {
		return err
	}
	bin, clean, err := build(ctx)
	if err != nil {
		return err
	}
	defer clean()
	m := &matrix{options: o, book: b, binaries: bin, began: time.Now(), done: map[string]bool{}}
	if o.list {
		return m.list()
	}
	err = m.runAll(ctx)
	return errors.Join(err, m.report())
}

// Files in the folder of results.
const (
	bookFile    = "faults.jsonl"
	pointsFile  = "faults-points.json"
	summaryFile = "faults.json"
)

// build builds what is shipped, or takes it from DROVER_BIN.
func build(ctx context.Context, flags ...string) (b binaries, clean func(), err error) {
	if d := os.Getenv("DROVER_BIN"); d != "" && len(flags) == 0 {
		return binaries{drover: filepath.Join(d, "drover"), lab: filepath.Join(d, "lab")}, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "drover-faults-")
	if err != nil {
		return b, nil, err
	}
	args := append(append([]string{"build"}, flags...), "-o", dir+"/", "./cmd/drover", "./cmd/lab")
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return b, nil, errors.Join(fmt.Errorf("build what is tested: %w: %s", err, out), os.RemoveAll(dir))
	}
	return binaries{drover: filepath.Join(dir, "drover"), lab: filepath.Join(dir, "lab")}, func() { _ = os.RemoveAll(dir) }, nil
}

// root is the folder of the module.
func root() string {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil || len(out) == 0 {
		return "."
	}
	return filepath.Dir(string(out[:len(out)-1]))
}
