package files

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// manifestVersion is that of the format. Version 1 was one JSON object with all entries.
const manifestVersion = 2

// head is the object that is replaced with each save. It costs what changed: entries that have not
// changed for some time are in segments.
type head struct {
	Version  int       `json:"version"`
	Home     string    `json:"home,omitempty"`     // of the last pass that looked at both sides
	Segments []segment `json:"segments,omitempty"` // by key
	Changes  []byte    `json:"changes,omitempty"`  // records that are newer than the segments
}

// segment is an object of its own with the entries from First up to the First of the next segment.
type segment struct {
	Name    string `json:"name"`
	First   string `json:"first"`
	Entries int    `json:"entries"`
}

// record is an entry under its path; gone says that there is none any more.
type record struct {
	path string
	Entry
	gone bool
}

// Flags of a coded record.
const (
	flagGone = 1 << iota
	flagVerified
	flagPending
	flagRacy
	flagLink
	flagUpload
	flagMD5   // the ETag is a quoted MD5, coded as its 16 bytes
	flagWhole // the checksum is SHA256, coded as nothing
)

// appendRecord codes a record behind one with the path previous: a path is coded as what differs
// from that. 200,000 files take some 20 MB.
func appendRecord(b []byte, previous string, r record) []byte {
	shared := 0
	for shared < len(previous) && shared < len(r.path) && previous[shared] == r.path[shared] {
		shared++
	}
	b = binary.AppendUvarint(b, uint64(shared)) //nolint:gosec // a length
	b = appendString(b, r.path[shared:])
	md5, isMD5 := plainMD5(r.ETag)
	flags := bit(flagGone, r.gone) | bit(flagVerified, r.Verified) | bit(flagPending, r.Pending) | bit(flagRacy, !r.Racy.IsZero()) |
		bit(flagLink, r.Local.Link != "") | bit(flagUpload, r.Upload != "") | bit(flagMD5, isMD5) |
		bit(flagWhole, r.Checksum == r.SHA256.base64())
	b = append(b, flags)
	if r.gone {
		return b
	}
	b = appendLocal(b, r.Local)
	b = append(b, r.SHA256[:]...)
	if isMD5 {
		b = append(b, md5...)
	} else {
		b = appendString(b, r.ETag)
	}
	if flags&flagWhole == 0 {
		b = appendString(b, r.Checksum)
	}
	if flags&flagRacy != 0 {
		b = binary.AppendVarint(b, r.Racy.UnixNano())
	}
	if flags&flagUpload != 0 {
		b = appendString(b, r.Upload)
	}
	return b
}

func bit(flag byte, on bool) byte {
	if on {
		return flag
	}
	return 0
}

func appendLocal(b []byte, l Local) []byte {
	b = binary.AppendVarint(b, l.Size)
	b = binary.AppendVarint(b, l.MTime.Sec)
	b = binary.AppendVarint(b, int64(l.MTime.Nsec))
	b = binary.AppendVarint(b, l.CTime.Sec)
	b = binary.AppendVarint(b, int64(l.CTime.Nsec))
	b = binary.AppendUvarint(b, l.Inode)
	b = binary.AppendUvarint(b, uint64(l.Mode))
	b = binary.AppendUvarint(b, uint64(l.UID))
	b = binary.AppendUvarint(b, uint64(l.GID))
	if l.Link != "" {
		b = appendString(b, l.Link)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// plainMD5 gives the bytes of an ETag that is nothing but a quoted MD5, as that of an object of one
// part.
func plainMD5(etag string) ([]byte, bool) {
	const length = 34
	if len(etag) != length || etag[0] != '"' || etag[length-1] != '"' {
		return nil, false
	}
	raw, err := hex.DecodeString(etag[1 : length-1])
	return raw, err == nil && hex.EncodeToString(raw) == etag[1:length-1]
}

// reader decodes records. After an error it gives zeros; whoever reads asks err in the end.
type reader struct {
	b   []byte
	err error
}

// What is wrong with a record.
var (
	errShort = errors.New("it ends within a record")
	errOrder = errors.New("a path is not behind the one before it")
	errLong  = fmt.Errorf("a path is longer than %d bytes", maxKey)
)

func (r *reader) take(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.b)) {
		r.err, r.b = errors.Join(r.err, errShort), nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.take(uint64(len(r.b)) + 1)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.take(uint64(len(r.b)) + 1)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string { return string(r.take(r.uvarint())) }

func (r *reader) record(previous string) record {
	shared := r.uvarint()
	if shared > uint64(len(previous)) {
		r.err = errors.Join(r.err, errShort)
		return record{}
	}
	rest := r.text()
	if shared+uint64(len(rest)) > maxKey { //nolint:gosec // lengths
		r.err = errors.Join(r.err, errLong)
		return record{}
	}
	out := record{path: previous[:shared] + rest}
	flags := byte(flagGone)
	if one := r.take(1); len(one) == 1 {
		flags = one[0]
	}
	if out.gone = flags&flagGone != 0; out.gone {
		return out
	}
	out.Verified, out.Pending = flags&flagVerified != 0, flags&flagPending != 0
	out.Local = r.local(flags&flagLink != 0)
	copy(out.SHA256[:], r.take(uint64(len(out.SHA256))))
	if flags&flagMD5 != 0 {
		out.ETag = `"` + hex.EncodeToString(r.take(16)) + `"`
	} else {
		out.ETag = r.text()
	}
	if flags&flagWhole != 0 {
		out.Checksum = out.SHA256.base64()
	} else {
		out.Checksum = r.text()
	}
	if flags&flagRacy != 0 {
		out.Racy = time.Unix(0, r.varint())
	}
	if flags&flagUpload != 0 {
		out.Upload = r.text()
	}
	return out
}

func (r *reader) local(link bool) Local {
	l := Local{Size: r.varint()}
	l.MTime = Stamp{Sec: r.varint(), Nsec: int32(r.varint())} //nolint:gosec // as it was written
	l.CTime = Stamp{Sec: r.varint(), Nsec: int32(r.varint())} //nolint:gosec // as it was written
	l.Inode = r.uvarint()
	l.Mode, l.UID, l.GID = uint32(r.uvarint()), uint32(r.uvarint()), uint32(r.uvarint()) //nolint:gosec // as they were written
	if link {
		l.Link = r.text()
	}
	return l
}

// encodeRecords codes records that are in order.
func encodeRecords(records []record) []byte {
	var out []byte
	previous := ""
	for _, r := range records {
		out, previous = appendRecord(out, previous, r), r.path
	}
	return out
}

// decodeRecords wants what encodeRecords makes of paths that are keys: rising, and none longer than
// a key. What is not so would be merged wrongly, or grow with the square of its length.
func decodeRecords(b []byte) ([]record, error) {
	r := &reader{b: b}
	var out []record
	previous := ""
	for len(r.b) > 0 {
		next := r.record(previous)
		if len(out) > 0 && next.path <= previous {
			r.err = errors.Join(r.err, errOrder)
		}
		if r.err != nil {
			return nil, fmt.Errorf("the manifest is damaged in record %d of %d bytes: %w", len(out)+1, len(b), r.err)
		}
		out, previous = append(out, next), next.path
	}
	return out, nil
}

func encodeHead(h head) ([]byte, error) {
	h.Version = manifestVersion
	b, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return pack(b)
}

func decodeHead(body []byte) (h head, changes []record, err error) {
	if body == nil {
		return head{}, nil, nil
	}
	b, err := unpack(body)
	if err != nil {
		return h, nil, err
	}
	return readHead(b)
}

// readHead reads a head that is unpacked.
func readHead(b []byte) (h head, changes []record, err error) {
	if err := json.Unmarshal(b, &h); err != nil {
		return h, nil, fmt.Errorf("the manifest is damaged in its head: %w", err)
	}
	if h.Version != manifestVersion {
		return h, nil, fmt.Errorf("the manifest has version %d: this is a worker for version %d", h.Version, manifestVersion)
	}
	for i, s := range h.Segments {
		if s.Name == "" || s.Entries < 0 || i > 0 && s.First <= h.Segments[i-1].First {
			return h, nil, fmt.Errorf("the manifest is damaged in its head: segment %d of %d is not behind the one before it", i+1,
				len(h.Segments))
		}
	}
	changes, err = decodeRecords(h.Changes)
	h.Changes = nil
	return h, changes, err
}

// maxUnpacked is how much a head or segment may be before it is packed, bytes. It stands against
// what a few damaged bytes may unpack to: a million changes, the most that a head ever holds, are
// some 200 MB.
const maxUnpacked = 1 << 30

var errLarge = fmt.Errorf("more than %d bytes when it is unpacked", maxUnpacked)

// pack compresses. Most of a manifest is digests, so that harder tries gain nothing.
func pack(b []byte) ([]byte, error) {
	if len(b) > maxUnpacked {
		return nil, errLarge // nobody would read it
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	_, err = z.Write(b)
	err = errors.Join(err, z.Close())
	return out.Bytes(), err
}

func unpack(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("the manifest is damaged: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(z, maxUnpacked+1))
	if len(out) > maxUnpacked {
		err = errLarge
	}
	if err := errors.Join(err, z.Close()); err != nil {
		return nil, fmt.Errorf("the manifest is damaged: %w", err)
	}
	return out, nil
}
