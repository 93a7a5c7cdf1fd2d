package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drover-migration/drover/migration"
)

// one is a freeze that was measured.
type one struct {
	freeze time.Duration
	took   migration.FreezeTook
}

func sum(whole, bare []one) Way {
	w := Way{N: len(whole), P50: at(whole, 50), P99: at(whole, 99), BareP50: at(bare, 50), BareP99: at(bare, 99),
		Steps: map[string]float64{}}
	for name, of := range map[string]func(migration.FreezeTook) migration.Duration{
		"turn":     func(t migration.FreezeTook) migration.Duration { return t.Turn },
		"rehearse": func(t migration.FreezeTook) migration.Duration { return t.Rehearse },
		"fence":    func(t migration.FreezeTook) migration.Duration { return t.Fence },
		"mark":     func(t migration.FreezeTook) migration.Duration { return t.Mark },
		"drain":    func(t migration.FreezeTook) migration.Duration { return t.Drain },
		"seal":     func(t migration.FreezeTook) migration.Duration { return t.Seal },
		"open":     func(t migration.FreezeTook) migration.Duration { return t.Open },
	} {
		var all []time.Duration
		for _, x := range whole {
			all = append(all, of(x.took).D())
		}
		w.Steps[name] = percentile(all, 50)
	}
	return w
}

func at(all []one, p int) float64 {
	var d []time.Duration
	for _, x := range all {
		d = append(d, x.freeze)
	}
	return percentile(d, p)
}

// percentile is in milliseconds, by the nearest rank.
func percentile(all []time.Duration, p int) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return float64(all[(len(all)*p+99)/100-1].Microseconds()) / 1000
}

// table is what the terminal shows of one number of customers.
func (r results) table(n int) string {
	var b strings.Builder
	for _, way := range []string{"out", "back"} {
		w := r[strconv.Itoa(n)][way]
		fmt.Fprintf(&b, "%3d at once, %-4s  n %4d  freeze p50 %7.1f ms  p99 %7.1f ms   bare p50 %7.1f ms  p99 %7.1f ms  ", n, way, w.N,
			w.P50, w.P99, w.BareP50, w.BareP99)
		for _, s := range []string{"turn", "rehearse", "fence", "mark", "drain", "seal", "open"} {
			fmt.Fprintf(&b, " %s %.1f", s, w.Steps[s])
		}
		b.WriteString("\n")
	}
	return b.String()
}
