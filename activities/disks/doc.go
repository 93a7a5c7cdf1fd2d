// Package disks is replication/disks as an activity: it joins a VM's exported disks, the EBS client
// of a target and the state bucket. What a disk is copied by is the engine's business; where the
// disks come from is whoever implements Exporter.
package disks
