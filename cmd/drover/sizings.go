package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/internal/prices"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
)

func pricesFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "prices", "", "JSON file of prices that takes the place of the one that came with Drover")
}

// sizingsOf are the types that "auto" takes for the machines of an inventory, in its order. What
// they cost is known where all of the plan's targets lie in one region.
func sizingsOf(costs *prices.Prices, spec *migration.Spec, report migration.InventoryReport) (out []migration.Sizing) {
	region := ""
	for i, t := range spec.Targets {
		if i > 0 && t.Region != region {
			region = ""
			break
		}
		region = t.Region
	}
	for _, s := range report.Sites {
		for _, vm := range s.VMs {
			size := migration.SizingOf("", "auto", vm)
			size.Site, size.Monthly = s.Site, monthly(costs, size, region)
			out = append(out, size)
		}
	}
	return out
}

// priceSizings writes into each sizing of a preview what it costs where its workload goes.
func priceSizings(costs *prices.Prices, spec *migration.Spec, sizings []migration.Sizing) {
	for i, s := range sizings {
		w, _ := spec.Workload(s.Workload)
		target, _ := spec.Target(w.Target)
		sizings[i].Monthly = monthly(costs, s, target.Region)
	}
}

func monthly(costs *prices.Prices, s migration.Sizing, region string) string {
	return costs.Of(migration.Thing{Kind: "instance", State: "running", Type: s.Type}, region)
}

// writeSizings prints what each machine used, what it would run on, and what that costs.
func writeSizings(w io.Writer, sizings []migration.Sizing, costs *prices.Prices) error {
	if len(sizings) == 0 {
		return nil
	}
	t := &printer.Table{Columns: []printer.Column{{Name: "VM", Give: true, Least: 10}, {Name: "CPU", Right: true},
		{Name: "USED", Right: true}, {Name: "MEMORY", Right: true}, {Name: "USED", Right: true}, {Name: "TYPE"},
		{Name: "30 DAYS", Right: true}}}
	var whys []string
	for _, s := range sizings {
		cpus, memory := "?", "?"
		if s.Use != nil && s.Use.Why == "" {
			cpus, memory = fmt.Sprintf("%.1f", s.Use.CPUs), printer.Bytes(int64(s.Use.MemoryMB)<<20)
		}
		t.Add(s.VM, s.CPUs, cpus, printer.Bytes(int64(s.MemoryMB)<<20), memory, cmp.Or(s.Type, "none"), s.Monthly)
		if s.Why != migration.ByUse && !slices.Contains(whys, s.Why) {
			whys = append(whys, s.Why)
		}
	}
	var b strings.Builder
	for _, why := range whys {
		var of []string
		for _, s := range sizings {
			if s.Why == why {
				of = append(of, s.VM)
			}
		}
		b.WriteString(printer.Wrap("  ", fmt.Sprintf("%s: %s", firstNames(of), why)))
	}
	_, err := fmt.Fprintf(w, "\n%s%s%s", t.String(), b.String(), printer.Wrap("", "USED is the 95th percentile of vCenter's records of "+
		"the last 30 days. `auto` takes that plus 30 %, at most what the VM has. If the use is unknown, it takes what the VM has. "+
		"Money: "+costs.Said()))
	return err
}

// useCells are a use as numbers; empty where it is not known.
func useCells(u *migration.Use) (cpus, memoryMB, hours string) {
	if u == nil || u.Why != "" {
		return "", "", ""
	}
	return fmt.Sprintf("%.2f", u.CPUs), fmt.Sprint(u.MemoryMB), fmt.Sprint(u.Hours)
}

// firstNames are the first of many names, and how many more there are.
func firstNames(names []string) string {
	const most = 5
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}
