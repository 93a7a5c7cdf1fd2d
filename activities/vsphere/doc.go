// Package vsphere are the activities next to a site's vCenter: inventory, the end of snapshots, and
// power.
//
// Privileges: read-only on the datacenter for ListVMs; VirtualMachine.State.* for
// RemoveVMSnapshot; VirtualMachine.Interact.PowerOff and PowerOn for ShutdownVM and PowerOnVM.
// A copy also reads the free space of the machines' datastores, which read-only on them gives.
// Reading disks needs more: see package disks.
package vsphere
