package files

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// tree is the customer's folder. Every access goes through os.Root: no name and no link leads out of it.
type tree struct {
	root   *os.Root
	dir    string
	making sync.Mutex // of folders: one that was just made does not yet look as it will
	// The folder's own owner, for files that come from where nobody says whose they are.
	uid, gid uint32
}

// openTree opens the folder; create makes it where it is missing. Without create a missing folder is fs.ErrNotExist.
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
	return &tree{root: root, dir: dir, uid: l.UID, gid: l.GID}, nil
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

// makeFolders makes a folder and those above it where they are missing. Each looks as the one that it is made in: the application
// that could write there can write here.
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

// staleTemp is when a temporary file is a leftover of a worker that was killed.
const staleTemp = time.Hour

// walk lists the files by path. refused are those that cannot be carried, with the reason.
func (t *tree) walk(ctx context.Context, prefix string) (found map[string]Local, refused map[string]string, err error) {
	found, refused = map[string]Local{}, map[string]string{}
	err = fs.WalkDir(t.root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if cerr := ctx.Err(); cerr != nil {
			return cerr
		}
		if p == "." {
			return err
		}
		if strings.HasPrefix(path.Base(p), tempPrefix) {
			if info, err := d.Info(); err == nil && time.Since(info.ModTime()) > staleTemp {
				_ = t.root.Remove(p)
			}
			return nil
		}
		if why := checkName(prefix, p); why != "" {
			refused[p] = "its name " + why
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		l, why, err := t.look(p)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it went while we walked
		case err != nil:
			return err
		case why != "":
			refused[p] = why
		default:
			found[p] = l
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("walk %s: %w", t.dir, err)
	}
	return found, refused, nil
}

// look tells how a file looks, and why it cannot be carried.
func (t *tree) look(p string) (l Local, why string, err error) {
	info, err := t.root.Lstat(p)
	if err != nil {
		return l, "", err
	}
	l = looks(info)
	switch info.Mode().Type() {
	case 0:
		return l, checkSize(l.Size), nil
	case fs.ModeSymlink:
		if l.Link, err = t.root.Readlink(p); err != nil {
			return l, "", err
		}
		l.Size = int64(len(l.Link))
		if why := checkText(l.Link); why != "" {
			return l, "its target " + why, nil
		}
	default:
		return l, "it is neither a file nor a symbolic link", nil
	}
	return l, "", nil
}

func looks(info fs.FileInfo) Local {
	l := Local{Size: info.Size(), MTime: info.ModTime().UnixNano(), Mode: uint32(info.Mode().Perm())}
	system(info, &l)
	return l
}

func checkText(s string) string {
	if s == "" {
		return "is empty"
	}
	if len(s) > maxKey {
		return fmt.Sprintf("is longer than %d bytes", maxKey)
	}
	return ""
}

// content opens a file, or a link's target as if it were one. The caller closes it.
func (t *tree) content(p string, l Local) (content, error) {
	if l.Link != "" {
		return nopCloser{strings.NewReader(l.Link)}, nil
	}
	f, err := t.root.Open(p)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && looks(info) != l {
		err = errChanged
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// errChanged says that a file is not the one that was seen a moment ago.
var errChanged = errors.New("it changed while it was copied")

// content is a file's.
type content interface {
	io.ReadSeekCloser
	io.ReaderAt
}

type nopCloser struct{ *strings.Reader }

func (nopCloser) Close() error { return nil }

func (t *tree) sha256(p string, l Local) (string, error) {
	r, err := t.content(p, l)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(h, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// source gives a file's content, and how the file shall look.
type source func(io.Writer) (Local, error)

// write puts a file in place whole: a temporary file beside it, its content safe on disk, its looks set; then commit is asked, and
// then it is renamed. was is how the file looked that is replaced, nil if there was none.
func (t *tree) write(p string, content source, was *Local, commit func() error) (Local, error) {
	return t.place(p, was, commit, func(tmp string) error {
		f, err := t.root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
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
		return t.root.Chtimes(tmp, time.Time{}, time.Unix(0, want.MTime))
	})
}

// link is write for a symbolic link.
func (t *tree) link(p string, want Local, was *Local, commit func() error) (Local, error) {
	return t.place(p, was, commit, func(tmp string) error {
		if err := t.root.Symlink(want.Link, tmp); err != nil {
			return err
		}
		return chown(t.root, tmp, want)
	})
}

// place asks for permission before it looks at what it replaces: an answer that was long on its way is followed by a look, not by an effect.
func (t *tree) place(p string, was *Local, commit func() error, fill func(tmp string) error) (Local, error) {
	t.making.Lock()
	err := makeFolders(t.root, path.Dir(p))
	t.making.Unlock()
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
	if err := t.syncDir(path.Dir(p)); err != nil {
		return Local{}, err
	}
	l, _, err := t.look(p)
	return l, err
}

// still says that what is at a path is what was seen there, nil for nothing. Folders that hold no file are nothing too, and make room.
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
		return errChanged
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

func (t *tree) syncDir(dir string) error {
	d, err := t.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// remove deletes a file that still looks as it did. The folder that it was in stays, if empty: it is the application's.
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
	return t.root.Remove(p)
}

// Survey lists what of a folder cannot be carried, with the reasons. A missing folder is fs.ErrNotExist.
func Survey(ctx context.Context, dir, prefix string) ([]string, error) {
	t, err := openTree(dir, false)
	if err != nil {
		return nil, err
	}
	defer t.close()
	_, refused, err := t.walk(ctx, prefix)
	var out []string
	for _, p := range slices.Sorted(maps.Keys(refused)) {
		out = append(out, fmt.Sprintf("%q cannot be carried: %s", p, refused[p]))
	}
	return out, err
}
