package discover

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/plans"
)

// Role is what a machine is for, as far as its name says it.
type Role string

// The roles.
const (
	Component Role = ""               // of the application
	Front     Role = "front"          // takes customers' requests
	Database  Role = "database"       // its data moves by replication, not with its disks
	Service   Role = "shared service" // serves everybody: names, time, directory, monitoring, backup
)

// words are the parts of names by which a role is known.
var words = map[Role][]string{
	Front:    {"web", "www", "front", "frontend", "fe", "portal", "ui", "gateway", "gw"},
	Database: {"db", "database", "pg", "pgsql", "postgres", "postgresql", "sql", "mysql", "mariadb", "mssql", "oracle", "mongo", "mongodb"},
	Service: {"dns", "ns", "ntp", "time", "ad", "adds", "dc", "ldap", "backup", "bkp", "veeam", "monitoring", "monitor", "mon", "zabbix",
		"nagios", "icinga", "prometheus", "grafana", "syslog", "vcenter", "vcsa", "esx", "esxi", "bastion", "jump", "jumphost"},
}

// Workload is machines that do the same.
type Workload struct {
	Name string
	Role Role
	VMs  []migration.VM
}

// LeftOut is a machine that is in no workload.
type LeftOut struct{ Name, Why string }

var counted = regexp.MustCompile(`[-_. ]*[0-9]+$`)

// ByName puts machines together whose names differ in the number at their end, and leaves out those
// that are off or no part of an application.
func ByName(vms []migration.VM) (workloads []Workload, left []LeftOut) {
	by := map[string]*Workload{}
	for _, vm := range vms {
		short, _, _ := strings.Cut(strings.ToLower(vm.Name), ".")
		name := plans.NameOf(counted.ReplaceAllString(short, ""))
		if name == "" {
			name = cmp.Or(plans.NameOf(short), "machines")
		}
		role := roleOf(name)
		switch {
		case role == Service:
			left = append(left, LeftOut{vm.Name, "by its name it serves more than this application"})
			continue
		case !vm.PoweredOn:
			left = append(left, LeftOut{vm.Name, "it is powered off"})
			continue
		}
		if by[name] == nil {
			by[name] = &Workload{Name: name, Role: role}
		}
		by[name].VMs = append(by[name].VMs, vm)
	}
	for _, name := range slices.Sorted(maps.Keys(by)) {
		workloads = append(workloads, *by[name])
	}
	return workloads, left
}

// roleOf looks at the parts of a name from its end: "shop-db" is a database, "db-exporter" none.
func roleOf(name string) Role {
	parts := strings.Split(name, "-")
	last := strings.TrimRight(parts[len(parts)-1], "0123456789")
	for role, of := range words {
		if slices.Contains(of, last) {
			return role
		}
	}
	return Component
}

// Notes are what a plan says above a workload: of what stands in the way of its machines.
func (w Workload) Notes() (out []string) {
	for _, vm := range w.VMs {
		for _, f := range migration.Blockers(vm.Findings) {
			out = append(out, fmt.Sprintf("%s cannot move as it is: %s. Remedy: %s", vm.Name, strings.TrimSuffix(f.Reason, "."), f.Remedy))
		}
	}
	return out
}

// Names are those of the machines.
func (w Workload) Names() (out []string) {
	for _, vm := range w.VMs {
		out = append(out, vm.Name)
	}
	return out
}
