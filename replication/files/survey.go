package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Survey lists what stands in a customer's way, on the way there and on the way back, each with its
// path: what cannot be carried, files that cannot be read, folders that cannot be written. It
// changes nothing. A missing folder is fs.ErrNotExist; where it could not be made for files that
// come back, the list says so.
func Survey(ctx context.Context, dir, prefix string) ([]string, error) {
	t, err := openTree(dir, false)
	if errors.Is(err, fs.ErrNotExist) {
		if why := mayMake(dir); why != nil {
			return []string{fmt.Sprintf("folder %q is not there and cannot be made for files that come back: %v", dir, why)}, nil
		}
	}
	if err != nil {
		return nil, err
	}
	defer t.close()
	out, err := t.unreadable(ctx, prefix)
	if err != nil {
		return nil, err
	}
	unwritable, err := t.unwritable(ctx)
	return append(out, unwritable...), err
}

// unreadable lists what a pass away from here could not carry. It opens each file: nothing else
// tells of every kind of permission.
func (t *tree) unreadable(ctx context.Context, prefix string) (out []string, err error) {
	for batch, err := range t.walk(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		for _, f := range batch {
			if f.refused != "" {
				out = append(out, fmt.Sprintf("%q cannot be carried: %s", f.path, f.refused))
				continue
			}
			if f.local.Link != "" {
				continue
			}
			file, err := t.open(f.path, f.local)
			switch {
			case err == nil:
				err = file.Close()
			case errors.Is(err, fs.ErrNotExist) || errors.Is(err, errChanged):
				err = nil // the application is at it
			}
			if err != nil {
				out = append(out, fmt.Sprintf("%q cannot be read: %v", f.path, err))
			}
		}
	}
	return out, nil
}

// unwritable lists the folders into which a pass back here could not put a file.
func (t *tree) unwritable(ctx context.Context) (out []string, err error) {
	err = fs.WalkDir(t.root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case errors.Is(err, fs.ErrPermission):
			return fs.SkipDir // it cannot be read, which was said
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		}
		why := mayWrite(t.root, p)
		var at *fs.PathError
		if errors.As(why, &at) && at.Op == opWrite {
			out = append(out, fmt.Sprintf("folder %q cannot be written, and files come back into it: %v", filepath.Join(t.dir, p), why))
		}
		return nil
	})
	return out, err
}

// opWrite is the operation of mayWrite's own error; any other is of the way to the folder.
const opWrite = "write"

// mayMake says why a customer's folder cannot be made; nil: it can.
func mayMake(dir string) error {
	above := filepath.Dir(dir)
	root, err := os.OpenRoot(above)
	if errors.Is(err, fs.ErrNotExist) && above != dir {
		return mayMake(above)
	}
	if err != nil {
		return err
	}
	return errors.Join(mayWrite(root, "."), root.Close())
}
