package files

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"
)

// Entry is what the manifest says of one file and its object: how both were when they agreed last.
type Entry struct {
	Local    Local
	SHA256   Digest    // of the content; of a symbolic link, of its target
	ETag     string    // of the object
	Checksum string    // SHA-256 as S3 keeps it: base64, of parts "base64-N"; empty where S3 has none
	Racy     time.Time // when the file was read, if it was so young then that its looks prove nothing; else zero
	Verified bool      // the checksums of both sides were held against each other after the copy
	Pending  bool      // a pass was about to touch it: the object or file may be Drover's own, and the rest of the entry says nothing
	Upload   string    // the id of an upload in parts that a pass began and did not end; empty: none
}

// agreed says that the entry tells how both sides were.
func (e Entry) agreed() bool { return !e.Pending }

// Digest is a SHA-256.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// base64 is how S3 writes it.
func (d Digest) base64() string { return base64.StdEncoding.EncodeToString(d[:]) }

// Local is how a file of the tree looks without reading it.
type Local struct {
	Size  int64
	MTime Stamp
	CTime Stamp
	Inode uint64
	Mode  uint32 // permission bits: setuid and its like are not carried, whoever may write to a bucket could grant them
	UID   uint32
	GID   uint32
	Link  string // target of a symbolic link
}

// carried is the part that the other side keeps as well.
func (l Local) carried() Local {
	l.CTime, l.Inode = Stamp{}, 0
	return l
}

// Stamp is a time of a file. File systems keep years that do not fit an int64 of nanoseconds.
type Stamp struct {
	Sec  int64 // seconds since 1970
	Nsec int32 // 0 to 999,999,999
}

func stamp(t time.Time) Stamp { return Stamp{Sec: t.Unix(), Nsec: int32(t.Nanosecond())} } //nolint:gosec // below a thousand million

// Time is the same as a time.Time. Do not ask that for UnixNano.
func (s Stamp) Time() time.Time { return time.Unix(s.Sec, int64(s.Nsec)) }

// Store keeps a job's manifest: a head, which says what counts, and segments, which never change
// under their name. It is safe for concurrent use.
type Store interface {
	// Load reads the head. nil, "", nil: there is none yet.
	Load(ctx context.Context) (body []byte, etag string, err error)
	// Save replaces exactly the head that was loaded: etag is Load's, "" if there was none.
	// ErrManifest: another pass was first.
	Save(ctx context.Context, body []byte, etag string) (newETag string, err error)
	// LoadSegment reads a segment. ErrManifest: it was removed, and so another pass has saved a
	// head without it.
	LoadSegment(ctx context.Context, name string) ([]byte, error)
	// SaveSegment writes a segment under a name that was never used.
	SaveSegment(ctx context.Context, name string, body []byte) error
	// RemoveSegment removes what no head names any more. What stays behind does no harm.
	RemoveSegment(ctx context.Context, name string) error
}
