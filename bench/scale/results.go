package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// results are what a bench writes: its keys are of the run with the most customers, but for the
// histories, which are the largest of all runs.
type results struct {
	WallS          float64              `json:"wall_s"`
	MaxEvents      map[string]int64     `json:"max_events"` // by workflow type
	MaxBytes       map[string]int64     `json:"max_bytes"`
	SoakActivities float64              `json:"soak_activities_per_s"`
	StatusP99      float64              `json:"status_p99_ms"`
	OneMore        map[string]float64   `json:"one_more_cpu_ms"`  // of worker and server, by the number of customers that there are
	Runs           map[string]*measured `json:"runs"`             // by CUSTOMERS/BATCHES
	Missed         []string             `json:"missed,omitempty"` // goals
}

// measured is what one plan cost. Times are in seconds where nothing else is said, sizes in bytes.
type measured struct {
	Customers int `json:"customers"`
	Batches   int `json:"batches"`
	Workers   int `json:"workers"`

	WallS     float64 `json:"wall_s"` // from the submit until every batch is through
	WorkerCPU float64 `json:"worker_cpu_s"`
	ServerCPU float64 `json:"server_cpu_s"`

	SoakS          float64 `json:"soak_s"` // in which all customers soaked
	SoakActivities float64 `json:"soak_activities_per_s"`
	SoakCPU        float64 `json:"soak_cpu"` // cores that worker and server used meanwhile
	EndS           float64 `json:"end_s"`    // from then until the last had finished

	StatusP50  float64 `json:"status_p50_ms"` // of a page
	StatusP99  float64 `json:"status_p99_ms"`
	StatusAll  float64 `json:"status_all_p50_ms"` // of every page
	StatusLost int     `json:"status_lost"`       // that did not come

	Histories  map[string]*history `json:"histories"` // the largest of each workflow type
	Database   int64               `json:"database_bytes"`
	WorkerPeak int64               `json:"worker_peak_bytes"` // of one process
	ServerPeak int64               `json:"server_peak_bytes"`

	OnAWS      int              `json:"on_aws"` // finished there
	RolledBack int              `json:"rolled_back"`
	Held       int              `json:"held"`
	Killed     bool             `json:"killed"` // a worker was, if there were two
	Work       map[string]int64 `json:"work"`   // activities by worker
	Activities map[string]int64 `json:"activities"`
	Wrong      []string         `json:"wrong,omitempty"`

	// Unfinished is why the run was stopped before its plan was through: on_aws are then those that
	// had got there, and wall_s and CPU are of the time until then.
	Unfinished string `json:"unfinished,omitempty"`
}

// add takes a run's results.
func (r *results) add(s shape, m *measured) {
	m.Killed = m.Killed && s.workers > 1
	r.Runs[s.key()] = m
	largest := slices.MaxFunc(slices.Collect(maps.Values(r.Runs)),
		func(a, b *measured) int { return cmp.Compare(a.Customers, b.Customers) })
	r.WallS, r.SoakActivities, r.StatusP99 = largest.WallS, largest.SoakActivities, largest.StatusP99
	if r.MaxEvents == nil {
		r.MaxEvents, r.MaxBytes = map[string]int64{}, map[string]int64{}
	}
	for name, h := range m.Histories {
		r.MaxEvents[name], r.MaxBytes[name] = max(r.MaxEvents[name], h.Events), max(r.MaxBytes[name], h.Bytes)
	}
	r.oneMore()
	r.Missed = nil
	for _, key := range slices.Sorted(maps.Keys(r.Runs)) {
		r.Missed = append(r.Missed, r.Runs[key].missed()...)
	}
}

// oneMore is what one more customer costs, by runs whose batches have a hundred.
func (r *results) oneMore() {
	runs := slices.SortedFunc(maps.Values(r.Runs), func(a, b *measured) int { return cmp.Compare(a.Customers, b.Customers) })
	before := &measured{}
	for _, m := range runs {
		if m.Customers != 100*m.Batches || m.Unfinished != "" {
			continue
		}
		cpu := m.WorkerCPU + m.ServerCPU - before.WorkerCPU - before.ServerCPU
		r.OneMore[strconv.Itoa(m.Customers)] = 1000 * cpu / float64(m.Customers-before.Customers)
		before = m
	}
}

// table is what the terminal shows of one run.
func (m *measured) table(s shape) string {
	var b strings.Builder
	line := func(form string, args ...any) { fmt.Fprintf(&b, form+"\n", args...) }
	line("== %s, %d workers", s, m.Workers)
	line("  wall %.0f s; CPU of workers %.0f s, of the server %.0f s: %.0f ms a customer", m.WallS, m.WorkerCPU, m.ServerCPU,
		1000*(m.WorkerCPU+m.ServerCPU)/float64(m.Customers))
	line("  finished on AWS %d, home again %d, held %d; activities %s", m.OnAWS, m.RolledBack, m.Held, byName(m.Work))
	line("  all soak: %.0f s, %.1f activities a second, %.2f cores; the end %.0f s later", m.SoakS, m.SoakActivities, m.SoakCPU, m.EndS)
	line("  a page of status: p50 %.0f ms, p99 %.0f ms, lost %d; every page p50 %.0f ms", m.StatusP50, m.StatusP99,
		m.StatusLost, m.StatusAll)
	line("  database %d MB; memory of a worker %d MB, of the server %d MB", m.Database>>20, m.WorkerPeak>>20, m.ServerPeak>>20)
	for _, name := range slices.Sorted(maps.Keys(m.Histories)) {
		h := m.Histories[name]
		line("  %-12s %6d runs, largest %6d events, %6d kB; %.0f events a run",
			name, h.Runs, h.Events, h.Bytes>>10, float64(h.Total)/float64(h.Runs))
	}
	if m.Unfinished != "" {
		line("  NOT THROUGH: %s", m.Unfinished)
	}
	for _, w := range m.Wrong {
		line("  WRONG: %s", w)
	}
	return b.String()
}

func byName(n map[string]int64) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(n)) {
		out = append(out, fmt.Sprintf("%s %d", name, n[name]))
	}
	return strings.Join(out, ", ")
}
