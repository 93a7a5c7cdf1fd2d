package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
)

// tree is the customer's folder. Every access goes through os.Root: no name and no link leads out
// of it.
type tree struct {
	root     *os.Root
	dir      string
	uid, gid uint32 // the folder's own owner, for files that come from where nobody says whose they are

	mu      sync.Mutex      // of folders that are made: one that was just made does not yet look as it will
	changed map[string]bool // folders in which names changed that may not be safe on disk yet
}

// openTree opens the folder; create makes it where it is missing. Without create a missing folder
// is fs.ErrNotExist.
func openTree(dir string, create bool) (*tree, error) {
	if create {
		if err := makeRoot(dir); err != nil {
			return nil, fmt.Errorf("make folder %s: %w", dir, err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open folder %s: %w", dir, err)
	}
	info, err := root.Stat(".")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open folder %s: %w", dir, err), root.Close())
	}
	l := looks(info)
	return &tree{root: root, dir: dir, uid: l.UID, gid: l.GID, changed: map[string]bool{}}, nil
}

func (t *tree) close() { _ = t.root.Close() }

// makeRoot makes a customer's folder where it is missing, as the nearest folder above it looks.
func makeRoot(dir string) error {
	above := dir
	for {
		root, err := os.OpenRoot(above)
		if errors.Is(err, fs.ErrNotExist) && above != filepath.Dir(above) {
			above = filepath.Dir(above)
			continue
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(above, dir)
		if err == nil {
			err = makeFolders(root, filepath.ToSlash(rel))
		}
		return errors.Join(err, root.Close())
	}
}

// makeFolders makes a folder and those above it where they are missing. Each looks as the one that
// it is made in: the application that could write there can write here.
func makeFolders(root *os.Root, dir string) error {
	info, err := root.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return refusal(fmt.Sprintf("its folder %q is a file there", dir))
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		if link, lerr := root.Lstat(dir); lerr == nil && link.Mode().Type() == fs.ModeSymlink {
			return refusal(fmt.Sprintf("its folder %q is a symbolic link that leads nowhere in the tree", dir))
		}
		return err
	}
	if err := makeFolders(root, path.Dir(dir)); err != nil {
		return err
	}
	above, err := root.Stat(path.Dir(dir))
	if err != nil {
		return err
	}
	switch err := root.Mkdir(dir, 0o700); {
	case errors.Is(err, fs.ErrExist): // the application was faster
		return nil
	case err != nil:
		return err
	}
	if err := chown(root, dir, looks(above)); err != nil {
		return err
	}
	return root.Chmod(dir, above.Mode()&(fs.ModePerm|fs.ModeSetgid|fs.ModeSticky))
}
