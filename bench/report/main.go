// Command report writes docs/performance.md from the results of the benches: one table for each
// file that is there. A bench adds its table to the list below.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// bench is a bench's results and the section that shows them.
type bench struct {
	file  string // in the folder of results
	make  string // the target that measures it
	title string
	table func(raw []byte) (string, error)
}

var benches = []bench{
	{"freeze.json", "bench-freeze", "How long a customer cannot write", freezeTable},
	{"scale.json", "test-scale", "Ten thousand customers", scaleTable},
}

const head = `<!-- Written by: make performance. Do not edit. -->
# Performance

Measured by the benches of this repository, on the machine that ran them last. Each section says which.
`

func main() {
	results := flag.String("results", "out", "folder of the results")
	out := flag.String("out", "docs/performance.md", "where the page goes")
	flag.Parse()
	if err := run(*results, *out); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(results, out string) error {
	page := head
	for _, b := range benches {
		raw, err := os.ReadFile(filepath.Join(results, b.file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		table, err := b.table(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", b.file, err)
		}
		page += fmt.Sprintf("\n## %s\n\n`make %s`\n\n%s", b.title, b.make, table)
	}
	return os.WriteFile(out, []byte(page), 0o644) //nolint:gosec // a page of the docs
}

func freezeTable(raw []byte) (string, error) {
	var found map[string]map[string]struct {
		N       int                `json:"n"`
		P50     float64            `json:"p50_ms"`
		P99     float64            `json:"p99_ms"`
		BareP50 float64            `json:"bare_p50_ms"`
		BareP99 float64            `json:"bare_p99_ms"`
		Steps   map[string]float64 `json:"steps_p50_ms"`
	}
	if err := json.Unmarshal(raw, &found); err != nil {
		return "", err
	}
	var movers []int
	for k := range found {
		n, err := strconv.Atoi(k)
		if err != nil {
			return "", fmt.Errorf("%q is no number of customers", k)
		}
		movers = append(movers, n)
	}
	slices.Sort(movers)
	steps := []string{"turn", "rehearse", "fence", "mark", "drain", "seal", "open"}
	var b strings.Builder
	b.WriteString("Fence to open by the servers' clocks, in milliseconds. Bare: the same SQL functions at the same concurrency on warm " +
		"connections, without Temporal, in the same run. Steps: medians by the worker's clock; turn and rehearse come before the fence, " +
		"drain contains mark.\n\n")
	fmt.Fprintf(&b, "| at once | way | Moves | p50 | p99 | bare p50 | bare p99 | %s |\n|%s\n", strings.Join(steps, " | "),
		strings.Repeat("---|", 7+len(steps)))
	for _, n := range movers {
		for _, way := range []string{"out", "back"} {
			w := found[strconv.Itoa(n)][way]
			fmt.Fprintf(&b, "| %d | %s | %d | %.1f | %.1f | %.1f | %.1f |", n, way, w.N, w.P50, w.P99, w.BareP50, w.BareP99)
			for _, s := range steps {
				fmt.Fprintf(&b, " %.1f |", w.Steps[s])
			}
			b.WriteString("\n")
		}
	}
	return b.String(), nil
}
