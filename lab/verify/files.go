package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/drover-migration/drover/lab/load"
)

// verify wants, at each customer's home, the content that was acknowledged last under every name, and where the home is AWS also
// every file that the ledger knows nothing of: the application never deletes one. All contents are read.
func (f *Files) verify(ctx context.Context, customers []load.Customer, entries []load.Entry, res *Result) error {
	for _, c := range customers {
		tree, err := f.tree(c.ID)
		if err != nil {
			return err
		}
		have := tree
		where := "in the folder"
		if res.Homes[c.ID] == onAWS {
			where = "in the bucket"
			if have, err = f.objects(ctx, c.ID); err != nil {
				return err
			}
		}
		want := acknowledged(c, entries)
		for _, name := range slices.Sorted(maps.Keys(want)) {
			sum, ok := have[name]
			switch {
			case !ok:
				res.LostWrites++
				res.violation("customer %s: lost: file %s is not %s", c.ID, name, where)
			case !slices.Contains(want[name], sum):
				res.LostWrites++
				res.violation("customer %s: lost: file %s %s has SHA-256 %s, acknowledged was %s", c.ID, name, where, sum, want[name][0])
			default:
				res.ObjectsVerified++
			}
		}
		for _, name := range slices.Sorted(maps.Keys(tree)) {
			if want[name] != nil {
				continue
			}
			switch sum, ok := have[name]; {
			case !ok:
				res.LostWrites++
				res.violation("customer %s: lost: file %s is in the folder and not %s", c.ID, name, where)
			case sum != tree[name]:
				res.LostWrites++
				res.violation("customer %s: lost: file %s %s has SHA-256 %s, in the folder %s", c.ID, name, where, sum, tree[name])
			default:
				res.ObjectsVerified++
			}
		}
	}
	return nil
}

// acknowledged are the contents that each name may have: the last that was acknowledged, and any that was given up after it.
func acknowledged(c load.Customer, entries []load.Entry) map[string][]string {
	out := map[string][]string{}
	for _, e := range entries {
		switch {
		case e.Customer != c.ID || e.Kind != load.KindFile:
		case !e.Acked.IsZero():
			out[e.Name] = []string{e.SHA256}
		case out[e.Name] != nil:
			out[e.Name] = append(out[e.Name], e.SHA256)
		}
	}
	return out
}

// tree hashes the files of a customer's folder. Files that are being written (names with a dot in front) are not files yet.
func (f *Files) tree(customer string) (map[string]string, error) {
	out := map[string]string{}
	root := strings.ReplaceAll(f.Folder, "{customer}", customer)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == root {
			return fs.SkipAll
		}
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		r, err := os.Open(path)
		if err != nil {
			return err
		}
		out[filepath.ToSlash(name)], err = digest(r)
		return err
	})
	return out, err
}

func (f *Files) objects(ctx context.Context, customer string) (map[string]string, error) {
	out := map[string]string{}
	prefix := strings.ReplaceAll(f.Prefix, "{customer}", customer)
	pages := s3.NewListObjectsV2Paginator(f.Client, &s3.ListObjectsV2Input{Bucket: &f.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list s3://%s/%s: %w", f.Bucket, prefix, err)
		}
		for _, o := range page.Contents {
			got, err := f.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &f.Bucket, Key: o.Key})
			if err != nil {
				return nil, fmt.Errorf("read s3://%s/%s: %w", f.Bucket, aws.ToString(o.Key), err)
			}
			if out[strings.TrimPrefix(aws.ToString(o.Key), prefix)], err = digest(got.Body); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func digest(r io.ReadCloser) (string, error) {
	h := sha256.New()
	_, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), errors.Join(err, r.Close())
}

// verify wants every snapshot to be, byte for byte, a disk that was exported.
func (d *Disks) verify(res *Result) {
	for _, s := range d.Snapshots {
		sum, blocks, err := d.Digest(s.ID, s.Bytes)
		switch {
		case err != nil:
			res.violation("snapshot %s cannot be read back: %v", s.ID, err)
		case d.Exported[sum] == "":
			res.violation("snapshot %s: its %d blocks have SHA-256 %s: no disk that was exported has it", s.ID, blocks, sum)
		default:
			res.DiskBlocksVerified += blocks
		}
	}
}
