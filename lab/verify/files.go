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
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/drover-migration/drover/lab/load"
)

// file is a file's content and its looks, as the way back keeps them.
type file struct {
	SHA256 string
	Looks  string // permission bits, time of modification in seconds, user and group; "": an object that says nothing of them
}

// verify wants, at each customer's home, the content that was acknowledged last under every name,
// every other file of before the load as it was, and nothing else: the application never deletes a
// file. All contents are read.
func (f *Files) verify(ctx context.Context, o Options, entries []load.Entry, res *Result) error {
	for _, c := range o.Customers {
		where, have, err := f.home(ctx, c.ID, res.Homes[c.ID])
		if err != nil {
			return err
		}
		tried := attempted(c, entries)
		want := acknowledged(c, entries)
		for _, name := range slices.Sorted(maps.Keys(want)) {
			got, ok := have[name]
			switch {
			case !ok:
				res.LostWrites++
				res.violation("customer %s: lost: file %s is not %s", c.ID, name, where)
			case !slices.Contains(want[name], got.SHA256):
				res.LostWrites++
				res.violation("customer %s: lost: file %s %s has SHA-256 %s, acknowledged was %s", c.ID, name, where, got.SHA256,
					want[name][0])
			default:
				res.ObjectsVerified++
			}
		}
		was := o.Before.files[c.ID]
		for _, name := range slices.Sorted(maps.Keys(was)) {
			if tried[name] {
				continue
			}
			switch got, ok := have[name]; {
			case !ok:
				res.LostWrites++
				res.violation("customer %s: lost: file %s of before the load is not %s", c.ID, name, where)
			case got.SHA256 != was[name].SHA256:
				res.LostWrites++
				res.violation("customer %s: lost: file %s %s has SHA-256 %s, before the load it was %s", c.ID, name, where, got.SHA256,
					was[name].SHA256)
			case got.Looks != was[name].Looks:
				res.violation("customer %s: file %s %s looks %q, before the load it was %q (mode, time, owner)", c.ID, name, where,
					got.Looks, was[name].Looks)
			default:
				res.ObjectsVerified++
			}
		}
		for _, name := range slices.Sorted(maps.Keys(have)) {
			if _, ok := was[name]; !ok && !tried[name] {
				res.violation("customer %s: unknown: file %s %s was there neither before the load nor is it in the ledger", c.ID, name,
					where)
			}
		}
	}
	return nil
}

// home reads a customer's files where it is homed.
func (f *Files) home(ctx context.Context, customer, side string) (where string, have map[string]file, err error) {
	if side == onAWS {
		have, err = f.objects(ctx, customer)
		return "in the bucket", have, err
	}
	have, err = f.tree(customer)
	return "in the folder", have, err
}

// attempted are the names that somebody wrote, or may have written.
func attempted(c load.Customer, entries []load.Entry) map[string]bool {
	out := map[string]bool{}
	for _, e := range entries {
		if e.Customer == c.ID && e.Kind == load.KindFile {
			out[e.Name] = true
		}
	}
	return out
}

// acknowledged are the contents that each name may have: the last that was acknowledged, and any
// that was given up after it.
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

// tree reads the files of a customer's folder. Files that are being written (names with a dot in
// front) are not files yet.
func (f *Files) tree(customer string) (map[string]file, error) {
	out := map[string]file{}
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
		info, err := r.Stat()
		if err != nil {
			return errors.Join(err, r.Close())
		}
		sum, err := digest(r)
		out[filepath.ToSlash(name)] = file{SHA256: sum, Looks: looks(info)}
		return err
	})
	return out, err
}

func looks(info fs.FileInfo) string {
	st := info.Sys().(*syscall.Stat_t)
	at := info.ModTime()
	return fmt.Sprintf("%o %d.%09d %d:%d", info.Mode().Perm(), at.Unix(), at.Nanosecond(), st.Uid, st.Gid)
}

func (f *Files) objects(ctx context.Context, customer string) (map[string]file, error) {
	out := map[string]file{}
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
			sum, err := digest(got.Body)
			if err != nil {
				return nil, err
			}
			name := strings.TrimPrefix(aws.ToString(o.Key), prefix)
			if m := got.Metadata; !strings.HasPrefix(filepath.Base(name), ".") {
				out[name] = file{SHA256: sum, Looks: keptLooks(m)}
			}
		}
	}
	return out, nil
}

// keptLooks are a file's looks as its object keeps them.
func keptLooks(m map[string]string) string {
	if m["drover-mode"] == "" {
		return ""
	}
	return fmt.Sprintf("%s %s %s:%s", m["drover-mode"], m["drover-mtime"], m["drover-uid"], m["drover-gid"])
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
