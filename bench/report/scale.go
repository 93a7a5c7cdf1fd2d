package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// plan is what one plan of thousands cost: as much of the results as the page shows.
type plan struct {
	Customers, Batches, Workers int

	Unfinished     string                                         `json:"unfinished"`
	WallS          float64                                        `json:"wall_s"`
	WorkerCPU      float64                                        `json:"worker_cpu_s"`
	ServerCPU      float64                                        `json:"server_cpu_s"`
	SoakActivities float64                                        `json:"soak_activities_per_s"`
	SoakCPU        float64                                        `json:"soak_cpu"`
	StatusP50      float64                                        `json:"status_p50_ms"`
	StatusP99      float64                                        `json:"status_p99_ms"`
	Database       int64                                          `json:"database_bytes"`
	WorkerPeak     int64                                          `json:"worker_peak_bytes"`
	ServerPeak     int64                                          `json:"server_peak_bytes"`
	Histories      map[string]struct{ Runs, Events, Bytes int64 } `json:"histories"`
}

func scaleTable(raw []byte) (string, error) {
	var found struct {
		OneMore map[string]float64 `json:"one_more_cpu_ms"`
		Runs    map[string]plan    `json:"runs"`
		Missed  []string           `json:"missed"`
	}
	if err := json.Unmarshal(raw, &found); err != nil {
		return "", err
	}
	runs := slices.SortedFunc(maps.Values(found.Runs), func(a, b plan) int { return cmp.Compare(a.Customers, b.Customers) })
	var b strings.Builder
	b.WriteString("Real workflows, workers and server; only what activities talk to is a stand-in, which takes the times\n" +
		"measured in the lab and fails once in a hundred calls. Of two workers one is killed in the middle. Wall: from the\n" +
		"submit until every batch is through. Soaking: while all customers soak.\n\n")
	columns := []string{
		"customers", "batches", "workers", "wall s", "CPU s of workers", "of the server", "activities/s soaking", "cores soaking",
		"page of status p50 ms", "p99", "database MB", "memory MB of a worker", "of the server",
	}
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, r := range runs {
		wall := fmt.Sprintf("%.0f", r.WallS)
		if r.Unfinished != "" {
			wall = "not in " + wall
		}
		fmt.Fprintf(&b, "| %d | %d | %d | %s | %.0f | %.0f | %.1f | %.2f | %.0f | %.0f | %d | %d | %d |\n",
			r.Customers, r.Batches, r.Workers, wall, r.WorkerCPU, r.ServerCPU, r.SoakActivities, r.SoakCPU,
			r.StatusP50, r.StatusP99, r.Database>>20, r.WorkerPeak>>20, r.ServerPeak>>20)
	}
	b.WriteString("\nThe largest history of each workflow type, in events and kB:\n\n| customers |")
	types := map[string]bool{}
	for _, r := range runs {
		for t := range r.Histories {
			types[t] = true
		}
	}
	names := slices.Sorted(maps.Keys(types))
	fmt.Fprintf(&b, " %s |\n|%s\n", strings.Join(names, " | "), strings.Repeat("---|", 1+len(names)))
	for _, r := range runs {
		fmt.Fprintf(&b, "| %d |", r.Customers)
		for _, t := range names {
			h := r.Histories[t]
			fmt.Fprintf(&b, " %d, %d |", h.Events, h.Bytes>>10)
		}
		b.WriteString("\n")
	}
	for _, r := range runs {
		if ms, ok := found.OneMore[fmt.Sprint(r.Customers)]; ok {
			fmt.Fprintf(&b, "\nOne more customer where there are %d takes %.0f ms of CPU, of workers and server together.\n",
				r.Customers, ms)
		}
	}
	for _, m := range found.Missed {
		fmt.Fprintf(&b, "\nGoal missed: %s.\n", m)
	}
	return b.String(), nil
}
