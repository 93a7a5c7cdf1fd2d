package aws

import (
	"context"
	"embed"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/drover-migration/drover/lab/process"
)

//go:embed labaws/*.py
var extension embed.FS

// Options of the control plane.
type Options struct {
	Tools       string // folder with venv/bin/python
	Dir         string // for the extension and the log
	Listen      string // host:port
	RDSEndpoint string // host:port of the PostgreSQL that every RDS instance is; empty: moto's invented name
}

// AWS is a running control plane. Its state is in memory.
type AWS struct {
	*process.Process
	endpoint string
}

// Start starts moto and waits until it answers.
func Start(ctx context.Context, o Options) (*AWS, error) {
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("lab's AWS: %w", err)
	}
	if err := os.CopyFS(filepath.Join(o.Dir, "python"), extension); err != nil {
		return nil, fmt.Errorf("lab's AWS: %w", err)
	}
	args := []string{"-B", "-m", "labaws", "--host", host, "--port", port}
	if o.RDSEndpoint != "" {
		args = append(args, "--rds", o.RDSEndpoint)
	}
	// The extension writes no bytecode, keeps to this folder, and talks to nobody: botocore looks for an instance's metadata otherwise.
	env := append(os.Environ(), "PYTHONPATH="+filepath.Join(o.Dir, "python"), "AWS_EC2_METADATA_DISABLED=true")
	p, err := process.Start(process.Options{Name: "aws", Path: filepath.Join(o.Tools, "venv", "bin", "python"), Args: args, Env: env, Dir: o.Dir, LogDir: o.Dir})
	if err != nil {
		return nil, err
	}
	a := &AWS{Process: p, endpoint: "http://" + o.Listen}
	if err := p.Ready(ctx, answers(a.endpoint+"/lab/elb")); err != nil {
		p.Close()
		return nil, err
	}
	return a, nil
}

// Endpoint is what AWS_ENDPOINT_URL says.
func (a *AWS) Endpoint() string { return a.endpoint }

// S3Options of the object store.
type S3Options struct {
	Tools                string // folder with bin/versitygw
	Dir                  string // objects, versions and the log
	Listen               string // host:port
	AccessKey, SecretKey string // of the only account
	Region               string
}

// S3 is a running object store over a folder.
type S3 struct {
	*process.Process
	endpoint string
}

// StartS3 starts versitygw and waits until it answers.
func StartS3(ctx context.Context, o S3Options) (*S3, error) {
	objects := filepath.Join(o.Dir, "objects")
	if err := os.MkdirAll(objects, 0o755); err != nil {
		return nil, fmt.Errorf("lab's S3: %w", err)
	}
	env := append(os.Environ(), "ROOT_ACCESS_KEY="+o.AccessKey, "ROOT_SECRET_KEY="+o.SecretKey)
	args := []string{"--port", o.Listen, "--region", o.Region, "--quiet", "posix", objects}
	p, err := process.Start(process.Options{Name: "s3", Path: filepath.Join(o.Tools, "bin", "versitygw"), Args: args, Env: env, Dir: o.Dir, LogDir: o.Dir})
	if err != nil {
		return nil, err
	}
	s := &S3{Process: p, endpoint: "http://" + o.Listen}
	if err := p.Ready(ctx, answers(s.endpoint+"/")); err != nil {
		p.Close()
		return nil, err
	}
	return s, nil
}

// Endpoint is what AWS_ENDPOINT_URL_S3 says.
func (s *S3) Endpoint() string { return s.endpoint }

// answers checks that a server answers anything at all.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		return res.Body.Close()
	}
}
