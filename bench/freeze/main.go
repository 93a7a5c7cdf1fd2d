// Command freeze measures how long customers cannot write: Moves through Temporal, workflow and
// worker, beside the bare SQL functions on warm connections, in the same run on the same two
// servers. `make bench-freeze` runs it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/drover-migration/drover/migration"
)

func main() {
	moves := flag.Int("moves", 200, "Moves each way with each number of customers, at least")
	movers := flag.String("movers", "1,10,100", "numbers of customers that move at once")
	out := flag.String("out", "out/freeze.json", "where the results go")
	tools := flag.String("tools", os.Getenv("DROVER_TOOLS"), "folder of the laboratory's tools")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *tools, *out, *movers, *moves); err != nil {
		fmt.Fprintln(os.Stderr, "bench-freeze:", err)
		os.Exit(1)
	}
}

// Both ways are measured with each number of customers: {"1": {"out": .., "back": ..}, ..}.
type results map[string]map[string]Way

// Way is a number of customers that moved at once in one direction. Steps are medians by the
// worker's clock; the freezes are by the servers'.
type Way struct {
	N       int                `json:"n"`
	P50     float64            `json:"p50_ms"`
	P99     float64            `json:"p99_ms"`
	BareP50 float64            `json:"bare_p50_ms"`
	BareP99 float64            `json:"bare_p99_ms"`
	Steps   map[string]float64 `json:"steps_p50_ms"`
}

func run(ctx context.Context, tools, out, movers string, moves int) error {
	var at []int
	most := 0
	for _, m := range strings.Split(movers, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(m))
		if err != nil || n < 1 {
			return fmt.Errorf("movers %q: want numbers like 1,10,100", movers)
		}
		at, most = append(at, n), max(most, n)
	}
	s, err := start(ctx, tools, most)
	if err != nil {
		return err
	}
	defer s.close()
	found := results{}
	for _, n := range at {
		rounds := (moves + n - 1) / n
		bare, err := s.bare(ctx, n, rounds)
		if err != nil {
			return fmt.Errorf("%d customers, bare: %w", n, err)
		}
		whole, err := s.whole(ctx, n, rounds)
		if err != nil {
			return fmt.Errorf("%d customers: %w", n, err)
		}
		found[strconv.Itoa(n)] = map[string]Way{
			"out": sum(whole[migration.OnPrem], bare[migration.OnPrem]), "back": sum(whole[migration.AWS], bare[migration.AWS]),
		}
		fmt.Print(found.table(n))
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil { //nolint:gosec // results are for everybody
		return err
	}
	b, err := json.MarshalIndent(found, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(b, '\n'), 0o644) //nolint:gosec // results are for everybody
}
