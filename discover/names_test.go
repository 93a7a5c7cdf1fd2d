package discover

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

func machine(name string) migration.VM { return migration.VM{Name: name, PoweredOn: true} }

func TestMachinesWhoseNamesDifferInTheirNumberAreOneWorkload(t *testing.T) {
	for names, want := range map[string]string{
		"web-01 web-02 WEB03.dc1.example": "web front: web-01 web-02 WEB03.dc1.example",
		"shop-api_1 shop-api-2":           "shop-api: shop-api_1 shop-api-2",
		"db-01 pg1":                       "db database: db-01 | pg database: pg1",
		"db-exporter":                     "db-exporter: db-exporter", // its last word says what it is
		"01 02":                           "01: 01 | 02: 02",
		"Büro-PC":                         "buero-pc: Büro-PC",
		"日本":                              "machines: 日本",
	} {
		var vms []migration.VM
		for _, n := range strings.Fields(names) {
			vms = append(vms, machine(n))
		}
		workloads, left := ByName(vms)
		require.Empty(t, left)
		var got []string
		for _, w := range workloads {
			got = append(got, strings.TrimSpace(w.Name+" "+string(w.Role))+": "+strings.Join(w.Names(), " "))
		}
		require.Equal(t, want, strings.Join(got, " | "))
	}
}

func TestWhoServesEverybodyOrIsOffIsLeftOutAndNamed(t *testing.T) {
	off := machine("web-03")
	off.PoweredOn = false
	workloads, left := ByName([]migration.VM{machine("dns-01"), machine("corp-dc02"), machine("web-01"), off, machine("dc1-web-02")})
	require.Len(t, workloads, 2, "a place in front of a name is no role")
	require.Equal(t, []LeftOut{{"dns-01", "by its name it serves more than this application"},
		{"corp-dc02", "by its name it serves more than this application"}, {"web-03", "it is powered off"}}, left)
}

func TestAWorkloadSaysWhatBlocksItsMachines(t *testing.T) {
	vm := machine("web-01")
	vm.Findings = []migration.Finding{{Severity: migration.Warning, Reason: "w", Remedy: "x"},
		{Severity: migration.Blocker, Reason: "it has a raw device.", Remedy: "make it a disk"}}
	require.Equal(t, []string{"web-01 cannot move as it is: it has a raw device. Remedy: make it a disk"},
		Workload{VMs: []migration.VM{vm}}.Notes())
}
