package aws

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/drover-migration/drover/lab/process"
)

// S3Options of the object store.
type S3Options struct {
	Tools     string // folder of the lab's tools: bin/versitygw
	Dir       string // buckets below it, and the log; made if missing
	Listen    string // host:port; port 0: any free one
	AccessKey string // of the root user, who may do everything
	SecretKey string
	Region    string // empty: us-east-1
}

// S3 is a running versitygw over a folder: moto's own S3 keeps objects in memory and verifies no
// checksum.
type S3 struct{ server }

// StartS3 starts the object store and waits until it answers. It dies with the lab.
func StartS3(ctx context.Context, o S3Options) (*S3, error) {
	listen, err := address(o.Listen)
	if err != nil {
		return nil, err
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	buckets, sidecar := filepath.Join(o.Dir, "buckets"), filepath.Join(o.Dir, "metadata")
	for _, d := range []string{buckets, sidecar} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, fmt.Errorf("folder of the object store: %w", err)
		}
	}
	s := &S3{server{url: "http://" + listen}}
	// Metadata beside the buckets, not in extended attributes: not every file system has them.
	s.process, err = process.Start(process.Options{
		Name: "s3", Path: filepath.Join(o.Tools, "bin", "versitygw"), Dir: o.Dir, LogDir: o.Dir,
		Args: []string{"--port", listen, "--region", o.Region, "--health", "/health", "--keep-alive", "--quiet", "posix", "--sidecar",
			sidecar, buckets},
		Env: append(os.Environ(), "ROOT_ACCESS_KEY="+o.AccessKey, "ROOT_SECRET_KEY="+o.SecretKey),
	})
	if err != nil {
		return nil, err
	}
	return s, s.await(ctx, s.url+"/health", http.StatusOK)
}
