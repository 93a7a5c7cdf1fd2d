package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/prices"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
)

func (a *app) inventoryCommand() *cobra.Command {
	var (
		output, figures string
		within          time.Duration
	)
	cmd := &cobra.Command{
		Use:   "inventory PLAN.yaml",
		Short: "Show the machines of a plan's sites and what stands in their way",
		Long: `Asks the workers of the plan's sites which machines there are and what stands in
the way of moving each, with the remedy. Reads only; the plan need not be
submitted. Exits with 8 if any machine is blocked: a workload whose disks move
from such a machine stops in preflight, before anything is touched. Below the
table stands what each machine used, by vCenter's own records, the instance type
that "auto" takes for it, and what that costs in 30 days.`,
		Example: `  drover inventory plan.yaml
  drover inventory plan.yaml -o csv`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			costs, err := prices.Read(figures)
			if err != nil {
				return &badInput{err: err, next: "see docs/runbook.md, what a plan costs"}
			}
			return a.withPlan(cmd.Context(), args[0], output,
				func(ctx context.Context, c *client.Client, spec *migration.Spec, format printer.Format) error {
					ctx, cancel := context.WithTimeout(ctx, within)
					defer cancel()
					patience := time.AfterFunc(inventoryPatience, func() { a.tellWhyItWaits(ctx, c, spec, within) })
					defer patience.Stop()
					report, err := c.Inventory(ctx, spec)
					if err != nil {
						return err
					}
					return a.printInventory(format, report, sizingsOf(costs, spec, report), costs)
				})
		},
	}
	cmd.Flags().DurationVar(&within, "within", 10*time.Minute, "how long the sites may take to answer")
	pricesFlag(cmd, &figures)
	outputFlag(cmd, &output)
	return cmd
}

// inventoryPatience is how long nothing is said while the sites' workers are asked: hundreds of
// machines take a few seconds.
const inventoryPatience = 10 * time.Second

// tellWhyItWaits names the sites that no worker is near, or says that the workers still read.
func (a *app) tellWhyItWaits(ctx context.Context, c *client.Client, spec *migration.Spec, within time.Duration) {
	var without []string
	for _, s := range spec.Sites {
		workers, err := c.Workers(ctx, migration.SiteQueue(s.Name))
		if err == nil && len(workers) == 0 {
			without = append(without, fmt.Sprintf("no worker of site %s runs: start `drover worker --main=false --site %[1]s`", s.Name))
		}
	}
	if workers, err := c.Workers(ctx, migration.QueueMain); err == nil && len(workers) == 0 {
		without = append(without, "no main worker runs: start `drover worker`")
	}
	if len(without) == 0 {
		without = []string{"the workers are still reading"}
	}
	_, _ = fmt.Fprint(a.err, printer.Wrap("", fmt.Sprintf("no answer yet: %s. Waiting up to %s", strings.Join(without, "; "), within)))
}

func (a *app) printInventory(format printer.Format, report migration.InventoryReport, sizings []migration.Sizing,
	costs *prices.Prices) error {
	table := inventoryTable(report)
	if format == printer.AsCSV {
		table = inventoryRows(report, sizings)
	}
	data := inventoryData{InventoryReport: report, Sizings: sizings, Prices: costs.Said()}
	if err := printer.Print(a.out, format, data, table); err != nil {
		return err
	}
	blockers, warnings := countFindings(report)
	if format == printer.AsTable {
		if err := writeSizings(a.out, sizings, costs); err != nil {
			return err
		}
		if err := writeFindings(a.out, report, blockers, warnings); err != nil {
			return err
		}
	}
	if blockers > 0 {
		return ended{exitBlocked}
	}
	return nil
}

func inventoryTable(report migration.InventoryReport) *printer.Table {
	t := &printer.Table{Columns: []printer.Column{
		{Name: "SITE", Give: true, Least: 6}, {Name: "VM", Give: true, Least: 12}, {Name: "POWER"}, {Name: "CPU", Right: true},
		{Name: "MEMORY", Right: true},
		{Name: "DISKS", Right: true}, {Name: "SIZE", Right: true}, {Name: "GUEST", Give: true, Least: 6}, {Name: "BLOCK", Right: true},
		{Name: "WARN", Right: true},
	}}
	for _, s := range report.Sites {
		for _, vm := range s.VMs {
			blockers := len(migration.Blockers(vm.Findings))
			t.Add(s.Site, vm.Name, power(vm), vm.CPUs, printer.Bytes(int64(vm.MemoryMB)<<20), len(vm.Disks), printer.Bytes(diskBytes(vm)),
				vm.Guest,
				blockers, len(vm.Findings)-blockers)
		}
	}
	return t
}

// inventoryData is the inventory as JSON, with what each machine would run on.
type inventoryData struct {
	migration.InventoryReport
	Sizings []migration.Sizing `json:"sizings,omitempty"`
	Prices  string             `json:"prices"` // whose figures they are
}

// inventoryRows is for programs: bytes are numbers, and findings are listed by name. There is one
// sizing a machine, in the order of the report.
func inventoryRows(report migration.InventoryReport, sizings []migration.Sizing) *printer.Table {
	t := &printer.Table{Columns: []printer.Column{
		{Name: "site"}, {Name: "vm"}, {Name: "uuid"}, {Name: "powered_on"}, {Name: "cpus"}, {Name: "memory_mb"}, {Name: "disks"},
		{Name: "disk_bytes"},
		{Name: "firmware"}, {Name: "guest"}, {Name: "address"}, {Name: "blockers"}, {Name: "warnings"},
		{Name: "used_cpus"}, {Name: "used_memory_mb"}, {Name: "used_hours"}, {Name: "auto_type"}, {Name: "auto_monthly"},
	}}
	at := 0
	for _, s := range report.Sites {
		for _, vm := range s.VMs {
			size := sizings[at]
			at++
			cpus, memory, hours := useCells(size.Use)
			t.Add(s.Site, vm.Name, vm.UUID, vm.PoweredOn, vm.CPUs, vm.MemoryMB, len(vm.Disks), diskBytes(vm), vm.Firmware, vm.Guest,
				vm.Address,
				checksOf(vm, migration.Blocker), checksOf(vm, migration.Warning), cpus, memory, hours, size.Type, size.Monthly)
		}
	}
	return t
}

func checksOf(vm migration.VM, severity migration.Severity) string {
	var names []string
	for _, f := range vm.Findings {
		if f.Severity == severity {
			names = append(names, f.Check)
		}
	}
	return strings.Join(names, " ")
}

func power(vm migration.VM) string {
	if vm.PoweredOn {
		return "on"
	}
	return "off"
}

func diskBytes(vm migration.VM) (sum int64) {
	for _, d := range vm.Disks {
		sum += d.Bytes
	}
	return sum
}

func countFindings(report migration.InventoryReport) (blockers, warnings int) {
	for _, s := range report.Sites {
		for _, vm := range s.VMs {
			b := len(migration.Blockers(vm.Findings))
			blockers += b
			warnings += len(vm.Findings) - b
		}
	}
	return blockers, warnings
}

// writeFindings prints each finding with its reason and remedy below the table: they do not fit in
// it.
func writeFindings(w io.Writer, report migration.InventoryReport, blockers, warnings int) error {
	var b strings.Builder
	for _, s := range report.Sites {
		for _, vm := range s.VMs {
			for _, f := range vm.Findings {
				fmt.Fprintf(&b, "\n%s %s: %s\n", f.Severity, f.Check, f.Subject)
				b.WriteString(printer.Wrap("  ", f.Reason))
				b.WriteString(printer.Wrap("  ", "remedy: "+f.Remedy))
			}
		}
	}
	fmt.Fprintf(&b, "\n%s, %s", count(blockers, "blocker"), count(warnings, "warning"))
	if blockers > 0 {
		b.WriteString(": preflight stops a plan that moves such a machine")
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
