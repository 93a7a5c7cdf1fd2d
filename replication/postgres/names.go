package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"github.com/drover-migration/drover/migration"
)

// Names of what a dataset has on the two servers. Subscriptions and slots are called like the
// publication they carry.
type Names struct {
	Forward   string // publication on premises, subscription on AWS
	Back      string // publication on AWS, subscription on premises
	Reference string // publication on premises of the tables that belong to no tenant
	Joining   string // publication on premises, subscription on AWS, of tenants whose rows are being carried over
}

// NamesOf derives the names. Slot names allow lower-case letters, digits and underscores, 63 in
// all; the hash keeps apart what the alphabet makes alike.
func NamesOf(plan, dataset string) Names {
	sum := sha256.Sum256([]byte(plan + "\x00" + dataset))
	base := "drover_" + plain(plan, 16) + "_" + plain(dataset, 16) + "_" + hex.EncodeToString(sum[:4])
	return Names{Forward: base + "_fwd", Back: base + "_rev", Reference: base + "_ref", Joining: base + "_join"}
}

// Outgoing is the publication of a side's tenants.
func (n Names) Outgoing(s migration.Side) string {
	if s == migration.AWS {
		return n.Back
	}
	return n.Forward
}

func plain(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		default:
			return '_'
		}
	}, s)
	return s[:min(len(s), most)]
}

// TenantID is a tenant as move.sql has it. Zero is the heartbeat's row.
func TenantID(t int64) (int32, error) {
	if t < 1 || t > math.MaxInt32 {
		return 0, fmt.Errorf("tenant %d: the fence takes ids from 1 to %d", t, math.MaxInt32)
	}
	return int32(t), nil
}

// TenantIDs is TenantID of each.
func TenantIDs(in []int64) ([]int32, error) {
	out := make([]int32, len(in))
	for i, t := range in {
		id, err := TenantID(t)
		if err != nil {
			return nil, err
		}
		out[i] = id
	}
	return out, nil
}
