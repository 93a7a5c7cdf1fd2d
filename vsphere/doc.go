// Package vsphere talks to vCenter: sessions that stay alive, a paged inventory with what stands in
// the way of each machine, snapshots, power, and disks as streams. It knows nothing of Temporal,
// and removes no snapshot that Drover did not make.
package vsphere
