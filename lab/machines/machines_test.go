package machines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUserDataIsReadAsAMachineWould(t *testing.T) {
	want := map[string]string{"DB_SECRET": "orders/app", "FILES": "s3://attachments/{customer}", "X_1": "a=b"}
	require.Equal(t, want, userDataEnv("#!/bin/sh\n# a=comment\nexport DB_SECRET=orders/app\n  "+
		"FILES='s3://attachments/{customer}'\nX_1=\"a=b\"\nif [ a = b ]; then echo x=1; fi\n"))
	require.Equal(t, want, userDataEnv(`{"DB_SECRET": "orders/app", "FILES": "s3://attachments/{customer}", "X_1": "a=b"}`))
}

type disks map[string]string // snapshot -> digest

func (d disks) SnapshotDigest(id string) (string, error) {
	if d[id] == "" {
		return "", errors.New("no such snapshot")
	}
	return d[id], nil
}

func (d disks) Exported(digest string) bool { return digest == "good" }

func TestAnInstanceServesOnlyFromADiskThatWasExported(t *testing.T) {
	c := New(Config{Disks: disks{"snap-good": "good", "snap-bad": "bad"}})
	out, all := c.startable(t.Context(), []Instance{
		{Kind: "ec2", ID: "i-good", State: "running", Address: "127.9.0.1", Snapshots: []string{"snap-good"}, UserData: "DB_SECRET=x"},
		{Kind: "ec2", ID: "i-bad", State: "running", Address: "127.9.0.2", Snapshots: []string{"snap-good", "snap-bad"}},
		{Kind: "ec2", ID: "i-none", State: "running", Address: "127.9.0.3"},
		{Kind: "ec2", ID: "i-lost", State: "running", Address: "127.9.0.4", Snapshots: []string{"snap-lost"}},
		{Kind: "ec2", ID: "i-stopped", State: "stopped", Address: "127.9.0.5", Snapshots: []string{"snap-good"}},
	})
	require.False(t, all)
	require.Len(t, out, 1)
	require.Equal(t, "i-good", out[0].ID)
	require.Equal(t, "x", out[0].Env["DB_SECRET"])
	refused := c.Refused()
	require.Len(t, refused, 3)
	require.Contains(t, refused["i-bad"], "snap-bad (SHA-256 bad) is no disk that was exported")
}

func TestMachinesComeAndGoWithWhatAWSSays(t *testing.T) {
	version := make(chan []Instance, 1)
	n := 0
	moto := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var now []Instance
		select {
		case now = <-version:
			n++
		case <-r.Context().Done():
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"version": n, "machines": now})
	}))
	t.Cleanup(moto.Close)
	c := New(Config{Command: []string{"sleep", "60"}, Port: 8080, AWS: moto.URL})
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { defer close(ended); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended }) // before moto is closed: it waits for the question that is open
	running := func(want int) {
		t.Helper()
		require.Eventually(t, func() bool { return len(c.Running()) == want }, 5*time.Second, 5*time.Millisecond)
	}
	var some []Instance
	for i := range 3 {
		some = append(some, Instance{Kind: "ecs", ID: fmt.Sprint(i), State: "RUNNING", Address: fmt.Sprintf("127.9.0.%d", i+1)})
	}
	version <- some
	running(3)
	version <- some[:1]
	running(1)
	require.Equal(t, "127.9.0.1", c.Running()[0].Address)
}
