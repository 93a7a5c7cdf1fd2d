package files

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
)

// source gives a file's content, and how the file shall look.
type source func(*os.File) (Local, error)

// write puts a file in place whole: a temporary file beside it, its content safe on disk, its looks
// set; then commit is asked, and then it is renamed. was is how the file looked that is replaced,
// nil if there was none.
func (t *tree) write(p string, content source, was *Local, commit func() error) (Local, error) {
	return t.place(p, was, commit, func(tmp string) error {
		f, err := t.root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		want, err := content(f)
		if err == nil {
			err = f.Sync()
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if err := chown(t.root, tmp, want); err != nil {
			return err
		}
		if err := t.root.Chmod(tmp, fs.FileMode(want.Mode)); err != nil {
			return err
		}
		return setMTime(t.root, tmp, want.MTime)
	})
}

// link is write for a symbolic link.
func (t *tree) link(p string, want Local, was *Local, commit func() error) (Local, error) {
	return t.place(p, was, commit, func(tmp string) error {
		if err := t.root.Symlink(want.Link, tmp); err != nil {
			return err
		}
		if err := chown(t.root, tmp, want); err != nil {
			return err
		}
		return setMTime(t.root, tmp, want.MTime)
	})
}

// place asks for permission before it looks at what it replaces: an answer that was long on its way
// is followed by a look, not by an effect.
func (t *tree) place(p string, was *Local, commit func() error, fill func(tmp string) error) (Local, error) {
	t.mu.Lock()
	err := makeFolders(t.root, path.Dir(p))
	for dir := path.Dir(p); !t.changed[dir]; dir = path.Dir(dir) { // ends with ".", whose own is "."
		t.changed[dir] = true
	}
	t.mu.Unlock()
	if err != nil {
		return Local{}, err
	}
	tmp := path.Join(path.Dir(p), tempPrefix+rand.Text())
	defer func() { _ = t.root.Remove(tmp) }() // after the rename there is none
	if err := fill(tmp); err != nil {
		return Local{}, err
	}
	if err := commit(); err != nil {
		return Local{}, err
	}
	if err := t.still(p, was); err != nil {
		return Local{}, err
	}
	if err := t.root.Rename(tmp, p); err != nil {
		return Local{}, err
	}
	l, _, err := t.look(p)
	return l, err
}

// still says that what is at a path is what was seen there, nil for nothing. Folders that hold no
// file are nothing too, and make room.
func (t *tree) still(p string, was *Local) error {
	info, err := t.root.Lstat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if was != nil {
			return errChanged
		}
		return nil
	case err != nil:
		return err
	case was == nil && info.IsDir():
		return t.clear(p)
	case was == nil:
		return refusal("something is there under this name (a file system that ignores case takes two names for one): rename one of them")
	}
	now, _, err := t.look(p)
	if err == nil && now != *was {
		err = errChanged
	}
	return err
}

// clear removes a folder in which there is nothing but folders.
func (t *tree) clear(dir string) error {
	var folders []string
	err := fs.WalkDir(t.root.FS(), dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = refusal("in its place is a folder with files in it")
		}
		folders = append(folders, p)
		return err
	})
	for _, p := range slices.Backward(folders) {
		if err != nil {
			return err
		}
		err = t.root.Remove(p) // of an empty folder only
	}
	return err
}

// chown gives a file or folder its owner, where the worker may: only root may give files away.
func chown(root *os.Root, p string, want Local) error {
	err := root.Lchown(p, int(want.UID), int(want.GID))
	if os.Geteuid() != 0 && errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// sync makes the names that changed safe on disk. The contents are already.
func (t *tree) sync() error {
	t.mu.Lock()
	changed := t.changed
	t.changed = map[string]bool{}
	t.mu.Unlock()
	for dir := range changed {
		d, err := t.root.Open(dir)
		if gone(err) {
			continue // a file took its place
		}
		if err != nil {
			return err
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes a file that still looks as it did. The folder that it was in stays, if empty: it
// is the application's.
func (t *tree) remove(p string, was Local) error {
	now, _, err := t.look(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if now != was {
		return errChanged
	}
	t.mu.Lock()
	t.changed[path.Dir(p)] = true
	t.mu.Unlock()
	return t.root.Remove(p)
}
