package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	do := bench
	if len(os.Args) > 1 && os.Args[1] == workerArg {
		do = workerMain
	}
	if err := do(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "test-scale:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

// options of a whole bench.
type options struct {
	tools, out, profiles string
	shapes               []shape
	window               time.Duration
	soak                 time.Duration
	limit                time.Duration
	kinds, more          bool
	workers              int
}

func bench(ctx context.Context, args []string) error {
	o := options{}
	f := flag.NewFlagSet("scale", flag.ContinueOnError)
	shapes := f.String("shapes", "100/1,1000/10,2500/2,10000/100",
		"plans to run, each CUSTOMERS/BATCHES")
	f.StringVar(&o.out, "out", "out/scale.json", "where the results go")
	f.StringVar(&o.tools, "tools", os.Getenv("DROVER_TOOLS"), "folder of the laboratory's tools")
	f.DurationVar(&o.window, "window", 2*time.Minute, "how long all customers soak at once, at least; 0: that is not measured")
	f.DurationVar(&o.soak, "soak", 0, "soak of a customer; 0: half as long again as the goal allows the cutovers, and the window")
	f.DurationVar(&o.limit, "limit", time.Hour, "how long all plans may take together; each may take an equal share of what is left")
	f.BoolVar(&o.kinds, "kinds", false, "count the events of each kind, too; of a thousand customers at most")
	f.BoolVar(&o.more, "more", false, "keep the runs that are in the file of results already, and add these")
	f.IntVar(&o.workers, "workers", 0, "worker processes; 0: two from a thousand customers on, else one")
	f.StringVar(&o.profiles, "profiles", "", "folder for CPU profiles of the workers; empty: none")
	if err := f.Parse(args); err != nil {
		return err
	}
	for _, s := range strings.Split(*shapes, ",") {
		x, err := parseShape(s)
		if err != nil {
			return err
		}
		o.shapes = append(o.shapes, x)
	}
	return o.run(ctx)
}

func (o options) run(ctx context.Context) error {
	found := results{Runs: map[string]*measured{}, OneMore: map[string]float64{}}
	if o.more {
		b, err := os.ReadFile(o.out)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(b, &found); err != nil {
			return fmt.Errorf("read earlier runs from %s: %w", o.out, err)
		}
	}
	var wrong []error
	until := time.Now().Add(o.limit)
	for i, s := range o.shapes {
		s.soak, s.window = o.soak, o.window
		if o.workers > 0 {
			s.workers = o.workers
		}
		if s.soak == 0 {
			s.soak = 3*s.allowed()/2 + o.window
		}
		m, err := s.measure(ctx, o, time.Until(until)/time.Duration(len(o.shapes)-i))
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", s, err))
		}
		if m != nil {
			found.add(s, m)
		}
		if err := found.write(o.out); err != nil { // whatever becomes of the next
			return err
		}
		if ctx.Err() != nil {
			break
		}
		if m == nil {
			continue // not even submitted
		}
		fmt.Print(m.table(s))
		for _, w := range m.Wrong {
			wrong = append(wrong, fmt.Errorf("%s: %s", s, w))
		}
	}
	for _, m := range found.Missed {
		wrong = append(wrong, errors.New("goal missed: "+m))
	}
	return errors.Join(wrong...)
}

// write keeps the results, whatever was found wrong.
func (r results) write(out string) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil { //nolint:gosec // results are for everybody
		return err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(b, '\n'), 0o644) //nolint:gosec // results are for everybody
}

func parseShape(s string) (shape, error) {
	customers, batches, ok := strings.Cut(strings.TrimSpace(s), "/")
	n, err := strconv.Atoi(customers)
	m, berr := strconv.Atoi(batches)
	if !ok || err != nil || berr != nil || m < 1 || n < m {
		return shape{}, fmt.Errorf("shape %q: want CUSTOMERS/BATCHES like 1000/10", s)
	}
	return shape{customers: n, batches: m, workers: workersFor(n)}, nil
}
