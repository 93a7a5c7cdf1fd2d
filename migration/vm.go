package migration

import "time"

// VM is a virtual machine as the inventory saw it: what a migration needs of it.
type VM struct {
	Ref        string   `json:"ref"` // managed object id: "vm-57"
	Name       string   `json:"name"`
	UUID       string   `json:"uuid"` // instance UUID
	Folder     string   `json:"folder,omitempty"`
	Host       string   `json:"host,omitempty"`
	Tags       []string `json:"tags,omitempty"` // "category:tag"
	PoweredOn  bool     `json:"poweredOn"`
	CPUs       int      `json:"cpus"`
	MemoryMB   int      `json:"memoryMb"`
	Use        *Use     `json:"use,omitempty"` // nil: nobody asked
	Firmware   string   `json:"firmware"`      // bios | efi
	SecureBoot bool     `json:"secureBoot,omitempty"`
	Guest      string   `json:"guest,omitempty"`   // guest id: "ubuntu64Guest"
	Address    string   `json:"address,omitempty"` // primary address, as the guest tools say
	ToolsOK    bool     `json:"toolsOk"`
	Tracking   bool     `json:"changeTracking"`
	Disks      []Disk   `json:"disks"`
	// device key of the disk that its boot order names first; 0: it names none, and the first disk
	// boots
	BootDisk int32     `json:"bootDisk,omitempty"`
	Findings []Finding `json:"findings,omitempty"`
}

// Disk is a virtual disk.
type Disk struct {
	Key      int32  `json:"key"` // device key
	Label    string `json:"label"`
	Bytes    int64  `json:"bytes"`   // capacity
	Backing  string `json:"backing"` // "[datastore] path"
	ChangeID string `json:"changeId,omitempty"`
}

// DiskImage is one disk of a VM as it stands in EBS: a completed snapshot.
type DiskImage struct {
	Key      int32  `json:"key"`      // device key of the disk
	Snapshot string `json:"snapshot"` // EBS snapshot id
	Bytes    int64  `json:"bytes"`
	Blocks   int64  `json:"blocks"`   // written: not zero
	Digest   string `json:"digest"`   // SHA-256 of the whole disk's bytes, hex
	Checksum string `json:"checksum"` // aggregate checksum, as CompleteSnapshot took it

	// AsOf is when the machine's snapshot was made that the disk was copied of, by vCenter's clock.
	AsOf time.Time `json:"asOf,omitzero"`
}
