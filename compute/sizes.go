package compute

import (
	"fmt"

	"github.com/drover-migration/drover/migration"
)

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

// chooseType is the type that was asked for or, for "auto", the cheapest that has at least the VM's
// CPUs and memory.
func chooseType(asked string, vm migration.VM) (string, error) {
	if asked != "" && asked != "auto" {
		return asked, nil
	}
	var best instanceType
	for _, f := range families {
		for _, s := range sizes {
			t := instanceType{f.name + "." + s.name, s.cpus, s.cpus * f.gib * 1024, s.cpus * f.price}
			if t.cpus >= vm.CPUs && t.memory >= vm.MemoryMB && (best.name == "" || t.price < best.price) {
				best = t
			}
		}
	}
	if best.name == "" {
		return "", fmt.Errorf("no instance type has %d CPUs and %d MB of memory; name one as the workload's instanceType", vm.CPUs,
			vm.MemoryMB)
	}
	return best.name, nil
}
