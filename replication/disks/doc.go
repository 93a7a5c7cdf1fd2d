// Package disks copies a virtual disk into an EBS snapshot: a sequential stream in, 512 KiB blocks
// out, zero blocks left out, every block summed, the whole read back. A copy that was cut off goes
// on from its checkpoint in the same snapshot.
//
// It knows neither where the stream comes from nor who asked: not vSphere, not Temporal.
package disks
