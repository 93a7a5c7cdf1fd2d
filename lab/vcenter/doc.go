// Package vcenter is the lab's vCenter: govmomi's simulator over its real protocol, with what it
// lacks. Disks have bytes, a snapshot freezes them, changes are tracked, exports carry
// stream-optimised VMDKs, and what was exported is remembered by its digest.
package vcenter
