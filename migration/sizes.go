package migration

import (
	"fmt"
	"math"
)

// Use is what a VM used, as its vCenter has recorded it.
type Use struct {
	// CPUs of its own that it used, and MemoryMB that it held, each at the 95th percentile.
	CPUs     float64 `json:"cpus,omitempty"`
	MemoryMB int     `json:"memoryMb,omitempty"`
	Hours    int     `json:"hours,omitempty"` // that the samples make up; while a VM is off it has none
	Why      string  `json:"why,omitempty"`   // it is not known
}

// enoughHours is how long a VM must have been recorded before its size goes by its use: a week has
// each of its days once.
const enoughHours = 7 * 24

// comfort is what a VM is given above its use. Azure Migrate sizes by the same percentile with the
// same factor
// (https://learn.microsoft.com/azure/migrate/concepts-azure-vm-assessment-calculation).
const comfort = 1.3

// Needs are the CPUs and the memory that a machine on AWS must have for this VM: what it used and
// three tenths more, and never more than it has. measured says that they go by its use.
func (vm VM) Needs() (cpus, memoryMB int, measured bool) {
	u := vm.Use
	if u == nil || u.Why != "" || u.Hours < enoughHours || u.MemoryMB <= 0 {
		return vm.CPUs, vm.MemoryMB, false
	}
	cpus = max(1, int(math.Ceil(u.CPUs*comfort)))
	return min(vm.CPUs, cpus), min(vm.MemoryMB, int(math.Ceil(float64(u.MemoryMB)*comfort))), true
}

// instanceType is a size that "auto" may choose.
type instanceType struct {
	name   string
	cpus   int
	memory int // MiB
	price  int // relative: what its order of preference is made of
}

// The compute (c7i, 2 GiB a vCPU), general (m7i, 4 GiB) and memory (r7i, 8 GiB) families, in the
// sizes that https://docs.aws.amazon.com/ec2/latest/instancetypes/ lists for them. All are Nitro
// instances of x86_64 that boot by legacy BIOS and by UEFI
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-boot.html), so a VM's firmware does not
// narrow the choice. The relative prices are those of us-east-1 on demand; elsewhere they differ by
// little and in the same order.
var (
	families = []struct {
		name  string
		gib   int // per vCPU
		price int // per vCPU, 1/10000 USD an hour
	}{
		{"c7i", 2, 446}, {"m7i", 4, 504}, {"r7i", 8, 662},
	}
	sizes = []struct {
		name string
		cpus int
	}{
		{"large", 2}, {"xlarge", 4}, {"2xlarge", 8}, {"4xlarge", 16}, {"8xlarge", 32}, {"12xlarge", 48}, {"16xlarge", 64}, {"24xlarge", 96},
		{"48xlarge", 192},
	}
)

// InstanceType is the type that was asked for or, for "auto", the cheapest that has at least the
// CPUs and the memory that the VM needs.
func InstanceType(asked string, vm VM) (string, error) {
	if asked != "" && asked != "auto" {
		return asked, nil
	}
	cpus, memory, _ := vm.Needs()
	var best instanceType
	for _, f := range families {
		for _, s := range sizes {
			t := instanceType{f.name + "." + s.name, s.cpus, s.cpus * f.gib * 1024, s.cpus * f.price}
			if t.cpus >= cpus && t.memory >= memory && (best.name == "" || t.price < best.price) {
				best = t
			}
		}
	}
	if best.name == "" {
		return "", fmt.Errorf("no instance type has %d CPUs and %d MB of memory; name one as the workload's instanceType", cpus, memory)
	}
	return best.name, nil
}

// Sizing is the instance type that a VM would run on.
type Sizing struct {
	Site     string `json:"site,omitempty"`
	Workload string `json:"workload,omitempty"`
	VM       string `json:"vm"`
	CPUs     int    `json:"cpus"`
	MemoryMB int    `json:"memoryMb"`
	Use      *Use   `json:"use,omitempty"`
	Type     string `json:"type,omitempty"`
	Why      string `json:"why"`               // this type, or none
	Monthly  string `json:"monthly,omitempty"` // what it costs in 30 days, or "unknown"
}

// ByUse says that a size goes by what its VM used.
const ByUse = "by its use"

// SizingOf is the type that a VM would run on where asked is wanted, and why.
func SizingOf(workload, asked string, vm VM) Sizing {
	s := Sizing{Workload: workload, VM: vm.Name, CPUs: vm.CPUs, MemoryMB: vm.MemoryMB, Use: vm.Use}
	var err error
	s.Type, err = InstanceType(asked, vm)
	_, _, measured := vm.Needs()
	switch u := vm.Use; {
	case err != nil:
		s.Why = err.Error()
	case s.Type == asked:
		s.Why = "the plan names it"
	case measured:
		s.Why = ByUse
	case u == nil:
		s.Why = "by what it has: nobody asked for its use"
	case u.Why != "":
		s.Why = "by what it has: " + u.Why
	case u.MemoryMB <= 0:
		s.Why = "by what it has: its memory is not on record"
	default:
		s.Why = fmt.Sprintf("by what it has: its use is known for %d h only", u.Hours)
	}
	return s
}
