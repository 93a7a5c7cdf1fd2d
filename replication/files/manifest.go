package files

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Manifest is what the two sides agreed on last, for one customer of one dataset.
type Manifest struct {
	Version int              `json:"version"`
	Entries map[string]Entry `json:"entries"` // by path below the root, with slashes
}

// manifestVersion is that of the format.
const manifestVersion = 1

// Entry is one file and its object.
type Entry struct {
	Local    Local  `json:"local"`
	SHA256   string `json:"sha256,omitempty"`   // of the content, hex; of a symbolic link, of its target
	ETag     string `json:"etag,omitempty"`     // of the object
	Checksum string `json:"checksum,omitempty"` // SHA-256 as S3 keeps it: base64, of parts "base64-N"; empty where S3 has none
	Racy     bool   `json:"racy,omitempty"`     // the file was so young when it was read that its looks prove nothing
	Verified bool   `json:"verified,omitempty"` // both sides were asked for their checksums after the copy
	Pending  bool   `json:"pending,omitempty"`  // a pass was about to touch it: what is there may be Drover's own and not in the rest of the entry
}

// carried says whether there is a file that both sides have agreed on.
func (m *Manifest) carried() bool {
	for _, e := range m.Entries {
		if !e.Pending {
			return true
		}
	}
	return false
}

// Local is how a file of the tree looks without reading it.
type Local struct {
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime"` // nanoseconds since 1970
	CTime int64  `json:"ctime"` // the same
	Inode uint64 `json:"inode"`
	Mode  uint32 `json:"mode"` // permission bits: setuid and its like are not carried, whoever may write to a bucket could grant them
	UID   uint32 `json:"uid"`
	GID   uint32 `json:"gid"`
	Link  string `json:"link,omitempty"` // target of a symbolic link
}

// carried is the part that the other side keeps as well.
func (l Local) carried() Local {
	l.CTime, l.Inode = 0, 0
	return l
}

// Store keeps a job's manifest. Save replaces exactly the one that was loaded: etag is Load's, "" if there was none.
type Store interface {
	Load(ctx context.Context) (body []byte, etag string, err error) // nil, "", nil: there is none yet
	Save(ctx context.Context, body []byte, etag string) (newETag string, err error)
}

func decodeManifest(body []byte) (*Manifest, error) {
	m := &Manifest{Version: manifestVersion, Entries: map[string]Entry{}}
	if body == nil {
		return m, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("the manifest is damaged: %w", err)
	}
	b, err := io.ReadAll(z)
	if err := errors.Join(err, z.Close()); err != nil {
		return nil, fmt.Errorf("the manifest is damaged: %w", err)
	}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("the manifest is damaged: %w", err)
	}
	if m.Version != manifestVersion {
		return nil, fmt.Errorf("the manifest has version %d: this is a worker for version %d", m.Version, manifestVersion)
	}
	return m, nil
}

func (m *Manifest) encode() ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	err := errors.Join(json.NewEncoder(z).Encode(m), z.Close())
	return b.Bytes(), err
}
