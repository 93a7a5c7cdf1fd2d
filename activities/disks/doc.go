// Package disks is replication/disks as an activity: it joins a VM's exported disks, the EBS client
// of a target and the state bucket. What a disk is copied by is the engine's business; where the
// disks come from is whoever implements Exporter.
//
// vCenter: VirtualMachine.State.CreateSnapshot for the snapshot that is copied, beside what reads
// its disks.
//
// AWS: ebs:StartSnapshot, PutSnapshotBlock, CompleteSnapshot, GetSnapshotBlock, ListSnapshotBlocks;
// ec2:CreateTags and DescribeSnapshots; ec2:DeleteSnapshot, on condition of the tag drover:plan,
// for those that were given up: without it they stay, and the copy goes on.
package disks
