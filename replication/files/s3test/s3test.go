// Package s3test runs a real object store (versitygw over a folder) for the tests of one package.
// It is for tests only.
package s3test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

var running struct {
	client *s3.Client
	pid    int
	err    error
}

// Main runs a package's tests with an object store beside them. binary is versitygw's path from the
// package's folder.
func Main(m *testing.M, binary string) int {
	client, pid, stop, err := start(binary)
	running.client, running.pid, running.err = client, pid, err
	defer stop()
	return m.Run()
}

// Client is the store's. Where there is none it skips the test, or fails it where DROVER_TOOLS says
// that there is one.
func Client(t *testing.T) *s3.Client {
	t.Helper()
	if errors.Is(running.err, os.ErrNotExist) && os.Getenv("DROVER_TOOLS") == "" {
		t.Skip("no versitygw: make setup")
	}
	if running.err != nil {
		t.Fatal(running.err)
	}
	return running.client
}

// Worked is how long the store has worked: the time of processors that it has used.
func Worked(t *testing.T) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", running.pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	var worked time.Duration
	for _, f := range fields[11:13] { // utime and stime, in hundredths of a second (proc_pid_stat(5))
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		worked += time.Duration(n) * 10 * time.Millisecond
	}
	return worked
}

const user, secret = "test", "testtest"

func start(binary string) (client *s3.Client, pid int, stop func(), err error) {
	stop = func() {}
	if binary, err = filepath.Abs(binary); err != nil {
		return nil, 0, stop, err
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, 0, stop, err
	}
	dir, err := os.MkdirTemp("", "drover-s3-")
	if err != nil {
		return nil, 0, stop, err
	}
	stop = func() { _ = os.RemoveAll(dir) }
	for _, d := range []string{"data", "meta"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return nil, 0, stop, err
		}
	}
	addr, err := free()
	if err != nil {
		return nil, 0, stop, err
	}
	// Metadata beside the objects: not every file system of a temporary folder has extended
	// attributes.
	cmd := exec.Command(binary, "--port", addr, "--quiet", "posix", "--sidecar", filepath.Join(dir, "meta"), filepath.Join(dir, "data"))
	cmd.Env = []string{"ROOT_ACCESS_KEY=" + user, "ROOT_SECRET_KEY=" + secret}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, 0, stop, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}
	client = s3.New(s3.Options{Region: "us-east-1", UsePathStyle: true, BaseEndpoint: aws.String("http://" + addr),
		Credentials: credentials.NewStaticCredentialsProvider(user, secret, "")})
	return client, cmd.Process.Pid, stop, await(client)
}

func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func await(client *s3.Client) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, err := client.ListBuckets(context.Background(), &s3.ListBucketsInput{})
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the object store does not answer: %w", err)
		}
		time.Sleep(20 * time.Millisecond) // its start says nothing that could be waited for
	}
}
