package vsphere

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vmware/govmomi/performance"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/migration"
)

// The counters of a VM's use. vCenter records all of them at its lowest level of statistics
// (https://techdocs.broadcom.com, "Data Counters": level 1). Memory is what the host gives to the
// VM and what the balloon has taken from it: active memory would be the pages of the last seconds,
// and a heap or a cache is seldom among them.
const (
	counterCPU      = "cpu.usage.average"    // hundredths of a per cent of all of the VM's CPUs
	counterConsumed = "mem.consumed.average" // KiB
	counterBalloon  = "mem.vmmemctl.average" // KiB
)

const (
	// vmsOfQuery makes 63 counters: a vCenter as it is shipped answers no query over more than 64
	// (its setting config.vpxd.stats.maxQueryMetrics).
	vmsOfQuery = 21
	// longestSample bounds the intervals that are read: an average over a day says nothing of its
	// busy hours.
	longestSample = 2 * time.Hour
	percentile    = 95
	// usePatience is how long vCenter may take for all of it: nothing else waits for sizes longer.
	usePatience = 2 * time.Minute
)

// Measure writes into each VM what it used, by vCenter's own records. A vCenter that keeps none, or
// does not show them, is no error: each VM then says why its use is not known.
func (s *Session) Measure(ctx context.Context, vms []migration.VM) error {
	within, cancel := context.WithTimeout(ctx, usePatience)
	defer cancel()
	err := s.readUse(within, vms)
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	for i := range vms {
		vms[i].Use = &migration.Use{Why: "vCenter's records of its use were not read: " + err.Error()}
	}
	return nil
}

func (s *Session) readUse(ctx context.Context, vms []migration.VM) error {
	if len(vms) == 0 {
		return nil
	}
	if s.ServiceContent.PerfManager == nil {
		return fmt.Errorf("%s keeps no records", s.URL().Host)
	}
	m := performance.NewManager(s.Client)
	known, err := m.CounterInfoByName(ctx)
	if err != nil {
		return err
	}
	var ids []types.PerfMetricId
	for _, name := range []string{counterCPU, counterConsumed, counterBalloon} {
		c, ok := known[name]
		if !ok {
			return fmt.Errorf("it has no counter %s", name)
		}
		ids = append(ids, types.PerfMetricId{CounterId: c.Key})
	}
	intervals, err := m.HistoricalInterval(ctx)
	if err != nil {
		return err
	}
	now, err := methods.GetCurrentTime(ctx, s)
	if err != nil {
		return err
	}
	for i := range vms {
		vms[i].Use = &migration.Use{}
	}
	for _, in := range intervals {
		each := time.Duration(in.SamplingPeriod) * time.Second
		if !in.Enabled || each > longestSample {
			continue
		}
		from := now.Add(-time.Duration(in.Length) * time.Second)
		for some := range slices.Chunk(vms, vmsOfQuery) {
			if err := readInterval(ctx, m, ids, in.SamplingPeriod, from, *now, some); err != nil {
				return err
			}
		}
	}
	for i, vm := range vms {
		if vm.Use.Hours == 0 {
			vms[i].Use = &migration.Use{Why: "vCenter has no hour of it on record"}
		}
	}
	return nil
}

// readInterval raises the use of some VMs to what one of vCenter's intervals says. ids are those of
// the counters, in the order of their constants.
func readInterval(ctx context.Context, m *performance.Manager, ids []types.PerfMetricId, seconds int32, from, to time.Time,
	vms []migration.VM) error {
	var spec []types.PerfQuerySpec
	for _, vm := range vms {
		spec = append(spec, types.PerfQuerySpec{Entity: types.ManagedObjectReference{Type: "VirtualMachine", Value: vm.Ref},
			StartTime: &from, EndTime: &to, MetricId: ids, IntervalId: seconds, Format: string(types.PerfFormatNormal)})
	}
	answers, err := m.Query(ctx, spec)
	if err != nil {
		return err
	}
	for _, a := range answers {
		e, ok := a.(*types.PerfEntityMetric)
		if !ok {
			continue
		}
		i := slices.IndexFunc(vms, func(vm migration.VM) bool { return vm.Ref == e.Entity.Value })
		if i < 0 {
			continue
		}
		raise(vms[i].Use, vms[i].CPUs, e, ids, seconds)
	}
	return nil
}

// raise raises the use of a VM with so many CPUs to what one answer says.
func raise(u *migration.Use, cpus int, e *types.PerfEntityMetric, ids []types.PerfMetricId, seconds int32) {
	cpu, held, balloon := seriesOf(e, ids[0]), seriesOf(e, ids[1]), seriesOf(e, ids[2])
	for i := range min(len(held), len(balloon)) {
		if held[i] >= 0 && balloon[i] >= 0 {
			held[i] += balloon[i]
		}
	}
	cpu, held = recorded(cpu), recorded(held)
	if len(cpu) == 0 || len(held) == 0 {
		return
	}
	u.CPUs = max(u.CPUs, float64(at(cpu, percentile))/10_000*float64(cpus))
	u.MemoryMB = max(u.MemoryMB, int(at(held, percentile)>>10))
	u.Hours = max(u.Hours, len(cpu)*int(seconds)/3600)
}

func seriesOf(e *types.PerfEntityMetric, id types.PerfMetricId) []int64 {
	for _, v := range e.Value {
		if s, ok := v.(*types.PerfMetricIntSeries); ok && s.Id.CounterId == id.CounterId && s.Id.Instance == id.Instance {
			return slices.Clone(s.Value)
		}
	}
	return nil
}

// recorded are the samples that there are, in order: where vCenter has none it says -1.
func recorded(samples []int64) []int64 {
	samples = slices.DeleteFunc(samples, func(v int64) bool { return v < 0 })
	slices.Sort(samples)
	return samples
}

// at is the nearest-rank percentile of sorted samples, of which there is one at least.
func at(sorted []int64, percent int) int64 {
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}
