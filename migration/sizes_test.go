package migration

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInstanceType(t *testing.T) {
	for _, c := range []struct {
		name         string
		asked        string
		cpus, memory int
		want         string
	}{
		{"what was asked for, whatever the VM has", "t3.nano", 64, 1 << 20, "t3.nano"},
		{"nothing asked for is auto", "", 1, 1024, "c7i.large"},
		{"the smallest", "auto", 1, 512, "c7i.large"},
		{"just as much as a type has", "auto", 2, 4096, "c7i.large"},
		{"a megabyte more is the next family, not the next size", "auto", 2, 4097, "m7i.large"},
		{"two CPUs with the memory of eight", "auto", 2, 16384, "r7i.large"},
		{"a CPU more", "auto", 3, 4096, "c7i.xlarge"},
		{"a size that no family has in between", "auto", 33, 1024, "c7i.12xlarge"},
		{"memory that decides the size", "auto", 2, 300 << 10, "r7i.12xlarge"},
		{"the largest", "auto", 192, 1536 << 10, "r7i.48xlarge"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := InstanceType(c.asked, VM{CPUs: c.cpus, MemoryMB: c.memory})
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	for _, vm := range []VM{{CPUs: 193, MemoryMB: 1024}, {CPUs: 1, MemoryMB: 1536<<10 + 1}} {
		_, err := InstanceType("auto", vm)
		require.ErrorContains(t, err, "name one as the workload's instanceType")
	}
}

func TestNoCheaperTypeWouldDo(t *testing.T) {
	for cpus := 1; cpus <= 192; cpus += 5 {
		for memory := 512; memory <= 1536<<10; memory = memory*3/2 + 1 {
			got, err := InstanceType("auto", VM{CPUs: cpus, MemoryMB: memory})
			require.NoError(t, err)
			paid, fits := 0, false
			for _, f := range families {
				for _, s := range sizes {
					if f.name+"."+s.name == got {
						paid, fits = s.cpus*f.price, s.cpus >= cpus && s.cpus*f.gib*1024 >= memory
					}
				}
			}
			require.True(t, fits, "%s for %d CPUs and %d MB", got, cpus, memory)
			for _, f := range families {
				for _, s := range sizes {
					if s.cpus >= cpus && s.cpus*f.gib*1024 >= memory {
						require.LessOrEqual(t, paid, s.cpus*f.price, "%s for %d CPUs and %d MB, where %s.%s would do", got, cpus, memory,
							f.name, s.name)
					}
				}
			}
		}
	}
}

func TestAMachineIsSizedByItsUse(t *testing.T) {
	for _, c := range []struct {
		name string
		use  *Use
		want string
		why  string
	}{
		{"nobody asked", nil, "m7i.4xlarge", "by what it has: nobody asked for its use"},
		{"three tenths more than it used", &Use{CPUs: 3.1, MemoryMB: 12 << 10, Hours: 720}, "c7i.2xlarge", "by its use"},
		{"a week is enough", &Use{CPUs: 1, MemoryMB: 2048, Hours: 168}, "c7i.large", "by its use"},
		{"an hour less is not", &Use{CPUs: 1, MemoryMB: 2048, Hours: 167}, "m7i.4xlarge",
			"by what it has: its use is known for 167 h only"},
		{"never more than it has", &Use{CPUs: 16, MemoryMB: 64 << 10, Hours: 720}, "m7i.4xlarge", "by its use"},
		{"idle", &Use{CPUs: 0, MemoryMB: 100, Hours: 720}, "c7i.large", "by its use"},
		{"memory that was not recorded is not none", &Use{CPUs: 1, Hours: 720}, "m7i.4xlarge",
			"by what it has: its memory is not on record"},
		{"refused", &Use{Why: "refused"}, "m7i.4xlarge", "by what it has: refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			vm := VM{Name: "a", CPUs: 16, MemoryMB: 64 << 10, Use: c.use}
			s := SizingOf("app", "auto", vm)
			require.Equal(t, c.want, s.Type)
			require.Equal(t, c.why, s.Why)
		})
	}
	require.Equal(t, "the plan names it", SizingOf("app", "t3.nano", VM{CPUs: 1, MemoryMB: 1}).Why)
	none := SizingOf("app", "auto", VM{CPUs: 500, MemoryMB: 1})
	require.Empty(t, none.Type)
	require.Contains(t, none.Why, "name one as the workload's instanceType")
}
