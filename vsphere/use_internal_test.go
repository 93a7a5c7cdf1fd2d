package vsphere

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/migration"
)

func TestUseIsThe95thPercentileOfWhatThereIs(t *testing.T) {
	ids := []types.PerfMetricId{{CounterId: 2}, {CounterId: 98}, {CounterId: 90}}
	answer := func(cpu, held, balloon []int64) *types.PerfEntityMetric {
		e := &types.PerfEntityMetric{}
		for i, values := range [][]int64{cpu, held, balloon} {
			e.Value = append(e.Value, &types.PerfMetricIntSeries{PerfMetricSeries: types.PerfMetricSeries{Id: ids[i]}, Value: values})
		}
		return e
	}
	var cpu, held, balloon []int64
	for i := range int64(100) {
		cpu = append(cpu, (i+1)*100)     // 1 to 100 %
		held = append(held, (i+1)*1024)  // 1 to 100 MiB
		balloon = append(balloon, 10240) // 10 MiB
	}
	u := &migration.Use{}
	raise(u, 4, answer(cpu, held, balloon), ids, 1800)
	require.Equal(t, migration.Use{CPUs: 3.8, MemoryMB: 105, Hours: 50}, *u)

	raise(u, 4, answer([]int64{100, 100}, []int64{2048, 2048}, []int64{0, 0}), ids, 7200)
	require.Equal(t, migration.Use{CPUs: 3.8, MemoryMB: 105, Hours: 50}, *u, "the interval that shows more counts")

	gaps := &migration.Use{}
	raise(gaps, 2, answer([]int64{-1, 5000, -1}, []int64{-1, 4096, -1}, []int64{-1, -1, -1}), ids, 7200)
	require.Equal(t, migration.Use{CPUs: 1, MemoryMB: 4, Hours: 2}, *gaps, "where nothing was recorded there is no sample")

	none := &migration.Use{}
	raise(none, 2, answer(nil, nil, nil), ids, 7200)
	raise(none, 2, answer([]int64{-1}, []int64{-1}, []int64{-1}), ids, 7200)
	require.Zero(t, *none)
}
