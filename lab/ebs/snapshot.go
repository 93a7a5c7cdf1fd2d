package ebs

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"time"
)

// States of a snapshot.
const (
	statePending   = "pending"
	stateCompleted = "completed"
	stateError     = "error"
)

// tag of a snapshot.
type tag struct {
	Key   string
	Value string
}

// record is one snapshot: its own blocks, over those of its parent.
type record struct {
	ID         string
	State      string
	VolumeSize int64 // GiB
	Timeout    int   // minutes
	KMSKey     string
	Encrypted  bool
	Tags       []tag
	Text       string
	Started    time.Time

	parent     *record
	from       origin            // who started it
	own        map[int]blockInfo // written into this one
	touched    time.Time
	completing bool
}

type blockInfo struct {
	sum   [sha256.Size]byte
	token string
}

// owner finds the snapshot whose file holds a block: this one, or the nearest ancestor.
func (sn *record) owner(index int) (*record, blockInfo, bool) {
	for at := sn; at != nil; at = at.parent {
		if b, ok := at.own[index]; ok {
			return at, b, true
		}
	}
	return nil, blockInfo{}, false
}

// indexes are all blocks that are not zero by absence, ancestors' included, in order.
func (sn *record) indexes() []int {
	seen := map[int]bool{}
	for at := sn; at != nil; at = at.parent {
		for i := range at.own {
			seen[i] = true
		}
	}
	out := make([]int, 0, len(seen))
	for i := range seen {
		out = append(out, i)
	}
	slices.Sort(out)
	return out
}

// linear is AWS's aggregated checksum: the checksums of the written blocks in order of their index,
// as one string, summed again.
func (sn *record) linear() string {
	order := make([]int, 0, len(sn.own))
	for i := range sn.own {
		order = append(order, i)
	}
	slices.Sort(order)
	h := sha256.New()
	for _, i := range order {
		b := sn.own[i]
		h.Write(b.sum[:])
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// blocks is the number of blocks a volume of this size has.
func (sn *record) blocks() int64 { return sn.VolumeSize << 30 / blockSize }
