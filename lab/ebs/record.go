package ebs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// origin is the caller of a request as far as moto tells callers apart: its signature names the
// region and the key.
type origin struct{ authorization, token string }

func originOf(r *http.Request) origin {
	return origin{r.Header.Get("Authorization"), r.Header.Get("X-Amz-Security-Token")}
}

// region is in the signature's scope: Credential=KEY/DATE/REGION/SERVICE/aws4_request.
func (o origin) region() string {
	_, scope, _ := strings.Cut(o.authorization, "Credential=")
	if parts := strings.Split(scope, "/"); len(parts) > 3 {
		return parts[2]
	}
	return "us-east-1"
}

// recorder forwards to moto, which keeps the record of every snapshot for EC2.
type recorder struct{ url string }

// start makes the record and returns its id and owner.
func (m *recorder) start(ctx context.Context, from origin, body []byte) (id, owner string, err error) {
	if m.url == "" {
		return "snap-0" + strings.ReplaceAll(uuid.NewString(), "-", "")[:16], "123456789012", nil
	}
	var out struct{ SnapshotId, OwnerId string } //nolint:revive // AWS's names
	err = m.post(ctx, from, "/snapshots", body, &out)
	if err == nil && out.SnapshotId == "" {
		err = errors.New("moto made no snapshot")
	}
	return out.SnapshotId, out.OwnerId, err
}

func (m *recorder) complete(ctx context.Context, from origin, id string) error {
	if m.url == "" {
		return nil
	}
	return m.post(ctx, from, "/snapshots/completion/"+id, nil, nil)
}

// say tells moto what became of a snapshot and cannot be said through the API.
func (m *recorder) say(ctx context.Context, from origin, id string, what map[string]any) {
	if m.url == "" {
		return
	}
	what["region"] = from.region()
	body, err := json.Marshal(what)
	if err == nil {
		_ = m.post(ctx, from, "/lab/snapshots/"+id, body, nil) // gone with moto: nobody asks any more
	}
}

func (m *recorder) post(ctx context.Context, from origin, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", from.authorization)
	if from.token != "" {
		req.Header.Set("X-Amz-Security-Token", from.token)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("moto answers %s to %s: %.200s", res.Status, path, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}
