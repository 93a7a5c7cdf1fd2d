package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/files"
)

// CheckFilesRequest names a dataset and its customers; of them only the ids are needed.
type CheckFilesRequest struct {
	Dataset   migration.Dataset    `json:"dataset"`
	Target    migration.Target     `json:"target"`
	Customers []migration.Customer `json:"customers"`
}

// CheckFilesResult is everything found at once.
type CheckFilesResult struct {
	Findings []migration.Finding `json:"findings,omitempty"`
}

// CheckFiles looks for what would stop the passes, before anything is touched. It changes nothing:
// twice is once.
func (a *Activities) CheckFiles(ctx context.Context, req CheckFilesRequest) (CheckFilesResult, error) {
	var res CheckFilesResult
	f := req.Dataset.Files
	if f == nil {
		return res, permanent.New("BadRequest", nil, "check files: dataset %q has no files", req.Dataset.Name)
	}
	_, stop := heartbeat.Saying[int](context.WithoutCancel(ctx))
	defer stop()
	client, err := a.s3.S3(ctx, req.Target)
	if err != nil {
		return res, fmt.Errorf("check files of dataset %q: %w", req.Dataset.Name, err)
	}
	found, err := checkBucket(ctx, client, f.Bucket)
	if err != nil {
		return res, err
	}
	res.Findings = append(res.Findings, found...)
	for _, c := range req.Customers {
		found, err := checkTree(ctx, place(f.Path, c.ID), folder(place(f.Prefix, c.ID)), c.ID)
		if err != nil {
			return res, err
		}
		res.Findings = append(res.Findings, found...)
	}
	return res, nil
}

func checkBucket(ctx context.Context, client *s3.Client, bucket string) ([]migration.Finding, error) {
	subject := "bucket " + bucket
	if _, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket}); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return []migration.Finding{{Severity: migration.Blocker, Check: "files-bucket", Subject: subject,
			Reason: "it cannot be reached: " + err.Error(),
			Remedy: "create it in the target's account, and allow the plan's role s3:ListBucket on it"}}, nil
	}
	v, err := client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &bucket})
	// An error: it may not be asked, and so is not known to be on.
	if err != nil || v.Status != types.BucketVersioningStatusEnabled { //nolint:nilerr // the finding says it
		unknown := migration.Finding{Severity: migration.Warning, Check: "files-bucket-versioning", Subject: subject,
			Reason: "versioning is not known to be on",
			Remedy: "switch it on: a customer's own deletions and overwrites on AWS can then be undone"}
		return []migration.Finding{unknown}, nil //nolint:nilerr // the finding says it
	}
	return nil, nil
}

func checkTree(ctx context.Context, dir, prefix, customer string) (found []migration.Finding, err error) {
	subject := "files of customer " + customer
	refused, err := engine.Survey(ctx, dir, prefix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []migration.Finding{{Severity: migration.Warning, Check: "files-folder", Subject: subject,
			Reason: "there is no folder " + dir,
			Remedy: "none, if the customer has no files yet; else mount the file system on the site's worker"}}, nil
	case errors.Is(err, fs.ErrPermission):
		return []migration.Finding{{Severity: migration.Blocker, Check: "files-readable", Subject: subject, Reason: err.Error(),
			Remedy: fmt.Sprintf("let user %d, as whom the site's worker runs, read and write the whole folder", os.Geteuid())}}, nil
	case err != nil:
		return nil, err
	}
	for _, r := range first(refused) {
		found = append(found, migration.Finding{Severity: migration.Blocker, Check: "files-carried", Subject: subject, Reason: r,
			Remedy: fmt.Sprintf("let user %d, as whom the site's worker runs, read every file and write into every folder, "+
				"since a customer comes back into them; rename or remove what cannot be carried: a Move ends only with both sides equal",
				os.Geteuid())})
	}
	return found, nil
}
