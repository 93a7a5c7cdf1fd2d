package files

import (
	"context"
	"fmt"
	"strings"

	"github.com/drover-migration/drover/internal/measure"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/files"
)

// Activities needs on the bucket s3:ListBucket, and below the dataset's prefix s3:GetObject,
// s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListMultipartUploadParts; on the
// state bucket what the plan needs, and s3:DeleteObject below files/. On the site's worker it needs
// the right to read the tree, and for a way back to write it.
type Activities struct {
	s3     S3
	bucket State
	homes  Homes
}

// New builds the activities. bucket is the state bucket, homes reads home records.
func New(s3 S3, bucket State, homes Homes) *Activities {
	return &Activities{s3: s3, bucket: bucket, homes: homes}
}

// Shelf is a dataset of files: where it lies, and what fences it.
type Shelf struct {
	Plan        string               `json:"plan"`
	Dataset     migration.Dataset    `json:"dataset"`
	Target      migration.Target     `json:"target"` // of the dataset
	State       migration.StateStore `json:"state"`
	StateTarget migration.Target     `json:"stateTarget"`
	Fence       *migration.Dataset   `json:"fence"`       // the database that fences these files
	FenceTarget migration.Target     `json:"fenceTarget"` // of that database
}

// FilesRequest names a customer's files and the side that is home.
type FilesRequest struct {
	Shelf
	Customer migration.Customer
	From     migration.Side // the home, as the caller knows it; the home record decides
}

// RequestFor asks for a pass over one customer's files in d, away from the side from.
func RequestFor(spec migration.SpecRef, slice migration.CustomerSlice, d migration.Dataset, from migration.Side) FilesRequest {
	req := FilesRequest{Customer: slice.Customer, From: from, Shelf: Shelf{
		Plan: spec.Plan, Dataset: d, Target: slice.Target(d.Target()), State: spec.State, StateTarget: spec.Target,
		Fence: slice.Database(d.Files.FencedBy),
	}}
	if req.Fence != nil {
		req.FenceTarget = slice.Target(req.Fence.Target())
	}
	return req
}

// FilesResult is what a pass did.
type FilesResult struct {
	Objects   int64    `json:"objects"` // on both sides at the end
	Copied    int64    `json:"copied"`
	Deleted   int64    `json:"deleted"`
	Bytes     int64    `json:"bytes"`
	Verified  int64    `json:"verified"`            // of which the checksums of both sides were held against each other
	Conflicts []string `json:"conflicts,omitempty"` // the first of them, with what to do
}

// job is what a request asks of the engine. allowed is asked before each effect.
func (a *Activities) job(ctx context.Context, req FilesRequest, allowed func(context.Context) error) (*engine.Job, error) {
	client, err := a.s3.S3(ctx, req.Target)
	if err != nil {
		return nil, fmt.Errorf("files of customer %q: %w", req.Customer.ID, err)
	}
	f := req.Dataset.Files
	return &engine.Job{
		Root: place(f.Path, req.Customer.ID), S3: client, Bucket: f.Bucket, Prefix: folder(place(f.Prefix, req.Customer.ID)),
		From:  req.From,
		Store: &manifests{bucket: a.bucket, req: req}, Allowed: allowed,
		Carried: measure.Carried(ctx, req.Plan, migration.MoverFiles, req.From.Other()),
	}, nil
}

func result(r engine.Result) FilesResult {
	return FilesResult{
		Objects: r.Objects, Copied: r.Copied, Deleted: r.Deleted, Bytes: r.Bytes, Verified: r.Verified, Conflicts: first(r.Conflicts),
	}
}

// place puts a customer into a path or prefix of a plan. Ids have a character set that cannot lead
// elsewhere.
func place(pattern, customer string) string {
	return strings.ReplaceAll(pattern, "{customer}", customer)
}

// folder ends a prefix with a slash: without it acme's files would contain acme2's.
func folder(prefix string) string {
	if prefix == "" || strings.HasSuffix(prefix, "/") {
		return prefix
	}
	return prefix + "/"
}

// maxConflicts is how many are worth carrying in a history.
const maxConflicts = 20

func first(s []string) []string {
	if len(s) > maxConflicts {
		return append(s[:maxConflicts:maxConflicts], fmt.Sprintf("and %d more", len(s)-maxConflicts))
	}
	return s
}
