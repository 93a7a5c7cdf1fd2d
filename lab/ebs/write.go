package ebs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// startRequest is the body of StartSnapshot.
type startRequest struct {
	VolumeSize       int64
	ParentSnapshotID string `json:"ParentSnapshotId"`
	Tags             []tag
	Description      string
	ClientToken      string
	Encrypted        *bool
	KmsKeyArn        string
	Timeout          *int
}

// started is what a client token started: the same request gets the same snapshot.
type started struct {
	shape string
	done  chan struct{}
	id    string
}

func (s *Server) startSnapshot(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var in startRequest
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		refused("INVALID_PARAMETER_VALUE", "body: %v", err).write(w)
		return
	}
	sn, f := s.start(r.Context(), originOf(r), in, body)
	if f != nil {
		f.write(w)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]any{"SnapshotId": sn.ID, "OwnerId": "123456789012", "Status": sn.State,
		"StartTime":  float64(sn.Started.UnixMilli()) / 1000,
		"VolumeSize": sn.VolumeSize, "BlockSize": blockSize, "Tags": sn.Tags, "Description": sn.Text, "SseType": "none"}
	if sn.parent != nil {
		out["ParentSnapshotId"] = sn.parent.ID
	}
	if sn.Encrypted {
		out["KmsKeyArn"], out["SseType"] = sn.KMSKey, "sse-kms"
	}
	writeJSON(w, http.StatusCreated, out)
}

// start finds or makes the snapshot of a request.
func (s *Server) start(ctx context.Context, from origin, in startRequest, body []byte) (*record, *failure) {
	sn, f := s.check(in)
	if f != nil {
		return nil, f
	}
	if in.ClientToken == "" {
		in.ClientToken = uuid.NewString()
	}
	s.mu.Lock()
	t, again := s.tokens[in.ClientToken]
	if !again {
		t = &started{shape: string(body), done: make(chan struct{})}
		s.tokens[in.ClientToken] = t
	}
	s.mu.Unlock()
	if again {
		<-t.done
		if t.shape != string(body) {
			return nil, conflict("client token %q was used before, with other parameters", in.ClientToken)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if found := s.snapshots[t.id]; found != nil {
			return found, nil
		}
		return nil, conflict("the request with client token %q failed", in.ClientToken)
	}
	defer close(t.done)
	id, _, err := s.moto.start(ctx, from, body)
	if err == nil {
		err = os.MkdirAll(filepath.Join(s.opts.Dir, id), 0o755)
	}
	if err != nil {
		s.mu.Lock()
		delete(s.tokens, in.ClientToken)
		s.mu.Unlock()
		return nil, internal(err)
	}
	now := time.Now()
	sn.ID, sn.State, sn.Started, sn.touched, sn.from = id, statePending, now, now, from
	if sn.Encrypted {
		s.moto.say(ctx, from, id, map[string]any{"encrypted": true, "kmsKeyArn": sn.KMSKey})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.id, s.snapshots[id] = id, sn
	return sn, nil
}

// check holds a request against AWS's rules.
func (s *Server) check(in startRequest) (*record, *failure) {
	sn := &record{VolumeSize: in.VolumeSize, Timeout: 60, Tags: in.Tags, Text: in.Description, KMSKey: in.KmsKeyArn,
		own: map[int]blockInfo{}}
	sn.Encrypted = in.Encrypted != nil && *in.Encrypted
	if in.Timeout != nil {
		if sn.Timeout = *in.Timeout; sn.Timeout < 10 || sn.Timeout > 4320 {
			return nil, refused("INVALID_PARAMETER_VALUE", "Timeout is %d; it must be from 10 to 4320 minutes", sn.Timeout)
		}
	}
	switch {
	case in.VolumeSize < 1 || in.VolumeSize > 65536:
		return nil, refused("INVALID_VOLUME_SIZE", "VolumeSize is %d; it must be from 1 to 65536 GiB", in.VolumeSize)
	case in.KmsKeyArn != "" && !keyARN(in.KmsKeyArn):
		return nil, refused("INVALID_CUSTOMER_KEY", "KmsKeyArn %q must be the ARN of a key: ids and aliases are not accepted", in.KmsKeyArn)
	case in.KmsKeyArn != "" && !sn.Encrypted && in.ParentSnapshotID == "":
		return nil, refused("INVALID_PARAMETER_VALUE", "KmsKeyArn without Encrypted")
	case in.ParentSnapshotID != "" && in.Encrypted != nil:
		return nil, refused("INVALID_PARAMETER_VALUE", "Encrypted and ParentSnapshotId exclude each other: encryption is the parent's")
	}
	if in.ParentSnapshotID == "" {
		return sn, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sn.parent = s.snapshots[in.ParentSnapshotID]
	switch {
	case sn.parent == nil:
		return nil, missing("SNAPSHOT_NOT_FOUND", "parent snapshot %s does not exist", in.ParentSnapshotID)
	case sn.parent.State != stateCompleted:
		return nil, refused("INVALID_SNAPSHOT_ID", "parent snapshot %s is %s", in.ParentSnapshotID, sn.parent.State)
	case sn.parent.VolumeSize > in.VolumeSize:
		return nil, refused("INVALID_VOLUME_SIZE", "the parent has %d GiB, more than %d", sn.parent.VolumeSize, in.VolumeSize)
	case sn.parent.Encrypted && in.KmsKeyArn != "" && in.KmsKeyArn != sn.parent.KMSKey:
		return nil, refused("INVALID_CUSTOMER_KEY", "the parent is encrypted with another key")
	case !sn.parent.Encrypted && in.KmsKeyArn != "":
		return nil, refused("INVALID_PARAMETER_VALUE", "the parent is not encrypted: KmsKeyArn cannot be given")
	}
	sn.Encrypted, sn.KMSKey = sn.parent.Encrypted, sn.parent.KMSKey
	return sn, nil
}

// keyARN says whether s is arn:PARTITION:kms:REGION:ACCOUNT:key/ID.
func keyARN(s string) bool {
	p := strings.SplitN(s, ":", 6)
	return len(p) == 6 && p[0] == "arn" && p[2] == "kms" && strings.HasPrefix(p[5], "key/")
}

// pending finds a snapshot that may be written, and keeps it from being idle.
func (s *Server) pending(id string) (*record, *failure) {
	sn := s.snapshots[id]
	if sn == nil {
		return nil, missing("SNAPSHOT_NOT_FOUND", "snapshot %s does not exist", id)
	}
	if sn.State != statePending || sn.completing {
		return nil, refused("WRITE_REQUEST_TIMEOUT", "snapshot %s is not in state pending but %s", id, sn.State)
	}
	sn.touched = time.Now()
	return sn, nil
}

func (s *Server) putBlock(w http.ResponseWriter, r *http.Request) {
	id, sum, f := s.put(r)
	if f != nil {
		f.write(w)
		return
	}
	_ = id
	w.Header().Set("X-Amz-Checksum", sum)
	w.Header().Set("X-Amz-Checksum-Algorithm", "SHA256")
	writeJSON(w, http.StatusCreated, struct{}{})
}

func (s *Server) put(r *http.Request) (id, checksum string, f *failure) {
	id = r.PathValue("id")
	body := bytes.NewBuffer(make([]byte, 0, blockSize+2*bytes.MinRead)) // of a block's size at once: it is most of what a put costs
	if _, err := body.ReadFrom(io.LimitReader(r.Body, blockSize+1)); err != nil {
		return id, "", internal(err)
	}
	data := body.Bytes()
	index, err := strconv.Atoi(r.PathValue("index"))
	if err != nil || index < 0 {
		return id, "", refused("INVALID_PARAMETER_VALUE", "block index %q", r.PathValue("index"))
	}
	if n := s.opts.Throttle; n > 0 && s.asked.Add(1)%int64(n) == 0 {
		return id, "", throttled()
	}
	if len(data) != blockSize || r.Header.Get("X-Amz-Data-Length") != strconv.Itoa(blockSize) {
		return id, "", refused("INVALID_CONTENT_ENCODING", "block %d has %d bytes and says %q: a block is %d bytes", index, len(data),
			r.Header.Get("X-Amz-Data-Length"), blockSize)
	}
	sum := sha256.Sum256(data)
	checksum = base64.StdEncoding.EncodeToString(sum[:])
	if r.Header.Get("X-Amz-Checksum-Algorithm") != "SHA256" || r.Header.Get("X-Amz-Checksum") != checksum {
		return id, "", refused("INVALID_BLOCK", "the checksum of block %d does not match its data", index)
	}
	s.mu.Lock()
	sn, f := s.pending(id)
	if f == nil && int64(index) >= sn.blocks() {
		f = refused("INVALID_BLOCK", "block %d is beyond the end of a volume of %d GiB", index, sn.VolumeSize)
	}
	s.mu.Unlock()
	if f != nil {
		return id, "", f
	}
	name := s.blockFile(id, index)
	written := name + "." + uuid.NewString()
	defer func() { _ = os.Remove(written) }() // where it was not renamed
	if err := os.WriteFile(written, data, 0o644); err != nil {
		return id, "", internal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sn, f = s.pending(id); f != nil { // completed or idle meanwhile: the block is not part of it
		return id, "", f
	}
	// Renamed together with its sum: of two writers the last one wins whole, and a reader never
	// sees half a block.
	if err := os.Rename(written, name); err != nil {
		return id, "", internal(err)
	}
	sn.own[index] = blockInfo{sum: sum, token: uuid.NewString()}
	s.puts.Add(1)
	return id, checksum, nil
}

func (s *Server) completeSnapshot(w http.ResponseWriter, r *http.Request) {
	sn, f := s.seal(r)
	if f != nil {
		f.write(w)
		return
	}
	if sn != nil {
		if s.opts.Completing > 0 {
			s.tasks.Go(func() {
				time.Sleep(s.opts.Completing)
				_ = s.finish(context.WithoutCancel(r.Context()), sn)
			})
		} else if err := s.finish(r.Context(), sn); err != nil {
			internal(err).write(w)
			return
		}
	}
	s.mu.Lock()
	state := s.snapshots[r.PathValue("id")].State
	s.mu.Unlock()
	writeJSON(w, http.StatusAccepted, map[string]string{"Status": state})
}

// seal checks the request and lets no block in any more. It answers nil for a snapshot that is
// complete already.
func (s *Server) seal(r *http.Request) (*record, *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.PathValue("id")
	sn := s.snapshots[id]
	if sn != nil && (sn.State == stateCompleted || sn.completing) {
		return nil, s.matches(sn, r)
	}
	sn, f := s.pending(id)
	if f != nil {
		return nil, f
	}
	if f := s.matches(sn, r); f != nil {
		return nil, f
	}
	sn.completing = true
	return sn, nil
}

func (s *Server) matches(sn *record, r *http.Request) *failure {
	if n, err := strconv.Atoi(r.Header.Get("X-Amz-Changedblockscount")); err != nil || n != len(sn.own) {
		return refused("INVALID_PARAMETER_VALUE", "ChangedBlocksCount is %q, and %d blocks were written to %s",
			r.Header.Get("X-Amz-Changedblockscount"), len(sn.own), sn.ID)
	}
	sum := r.Header.Get("X-Amz-Checksum")
	if sum == "" {
		return nil
	}
	if r.Header.Get("X-Amz-Checksum-Algorithm") != "SHA256" || r.Header.Get("X-Amz-Checksum-Aggregation-Method") != "LINEAR" {
		return refused("INVALID_PARAMETER_VALUE", "an aggregated checksum is SHA256, LINEAR")
	}
	if sum != sn.linear() {
		return refused("INVALID_PARAMETER_VALUE", "the aggregated checksum does not match the blocks of %s", sn.ID)
	}
	return nil
}

func (s *Server) finish(ctx context.Context, sn *record) error {
	if err := s.moto.complete(ctx, sn.from, sn.ID); err != nil {
		s.mu.Lock()
		sn.completing = false
		s.mu.Unlock()
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sn.State, sn.completing = stateCompleted, false
	return nil
}
