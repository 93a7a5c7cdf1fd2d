package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// scansAhead is how many folders, or pieces of a large one, are looked at before their turn: on
	// a network's file system each look is a round trip.
	scansAhead = 16
	// pieceOf is how many files of a folder are looked at in one go.
	pieceOf = 256
	// staleTemp is when a temporary file is a leftover of a worker that was killed.
	staleTemp = time.Hour
)

// found is what a walk finds at a path: a file, or something that is not carried.
type found struct {
	path    string
	local   Local
	refused string // why it cannot be carried; "": it can
	hidden  bool   // a folder that cannot be read: nothing is known of what is below it
}

// node is what a folder has under a name: another folder, or what found says.
type node struct {
	found
	dir bool
}

// order is the place of a node among its folder's: files below a folder are in the order of their
// keys, which have a slash there.
func (n node) order() string {
	if n.dir {
		return n.path + "/"
	}
	return n.path
}

// walk finds the files in the order of their keys.
func (t *tree) walk(ctx context.Context, prefix string) iter.Seq2[[]found, error] {
	return func(yield func([]found, error) bool) {
		nodes, err := t.scan(ctx, prefix, ".")
		if err == nil {
			_, err = t.visit(ctx, prefix, nodes, yield)
		}
		if err != nil {
			yield(nil, fmt.Errorf("walk %s: %w", t.dir, err))
		}
	}
}

// visit yields what is in a folder, and goes into those below it. more is false when the reader
// wants no more.
func (t *tree) visit(ctx context.Context, prefix string, nodes []node, yield func([]found, error) bool) (more bool, err error) {
	for below, err := range inOrder(ctx, scansAhead, t.steps(prefix, nodes)) {
		if err != nil {
			return false, err
		}
		var ready []found
		for len(below) > 0 && !below[0].dir {
			ready, below = append(ready, below[0].found), below[1:]
		}
		if len(ready) > 0 && !yield(ready, nil) {
			return false, nil
		}
		if len(below) > 0 {
			if more, err := t.visit(ctx, prefix, below, yield); !more || err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// steps are what there is in a folder, in order: its files, and what is in the folders in it.
func (t *tree) steps(prefix string, nodes []node) iter.Seq[func(context.Context) ([]node, error)] {
	return func(yield func(func(context.Context) ([]node, error)) bool) {
		for len(nodes) > 0 {
			if nodes[0].dir {
				p := nodes[0].path
				nodes = nodes[1:]
				if !yield(func(ctx context.Context) ([]node, error) { return t.scan(ctx, prefix, p) }) {
					return
				}
				continue
			}
			n := 1
			for n < len(nodes) && !nodes[n].dir {
				n++
			}
			ready := nodes[:n]
			nodes = nodes[n:]
			if !yield(func(context.Context) ([]node, error) { return ready, nil }) {
				return
			}
		}
	}
}

// scan reads a folder and looks at what is in it, once: the order of the keys depends on what is a
// folder.
func (t *tree) scan(ctx context.Context, prefix, dir string) ([]node, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	names, err := t.readNames(dir)
	switch {
	case gone(err) && dir != ".":
		return nil, nil // it went while we walked
	case errors.Is(err, fs.ErrPermission) && dir != ".":
		return []node{{found: found{path: dir + "/", refused: "the folder cannot be read: " + err.Error(), hidden: true}}}, nil
	case err != nil:
		return nil, err
	}
	nodes := make([]node, 0, len(names))
	for _, name := range names {
		p := path.Join(dir, name)
		if strings.HasPrefix(name, tempPrefix) {
			t.removeStale(p)
			continue
		}
		n := node{found: found{path: p}}
		if why := checkName(prefix, p); why != "" {
			n.refused = "its name " + why
		}
		nodes = append(nodes, n)
	}
	if nodes, err = t.lookAll(ctx, dir, nodes); err != nil {
		return nil, err
	}
	slices.SortFunc(nodes, func(a, b node) int { return strings.Compare(a.order(), b.order()) })
	return nodes, nil
}

// readNames asks for no more than the names: with the entries of a folder below a root, the library
// looks at each file, one after the other.
func (t *tree) readNames(dir string) ([]string, error) {
	d, err := t.root.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	return names, errors.Join(err, d.Close())
}

// gone says that there is nothing at a path any more: what was a folder on the way there may be a
// file now.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func (t *tree) removeStale(p string) {
	if info, err := t.root.Lstat(p); err == nil && time.Since(info.ModTime()) > staleTemp {
		_ = t.root.Remove(p)
	}
}

// lookAll looks at what is in a folder, several pieces at a time. What went meanwhile is left out.
func (t *tree) lookAll(ctx context.Context, dir string, nodes []node) (out []node, err error) {
	folder, err := t.root.OpenRoot(dir) // so that a look costs one call, however deep it is
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	pieces := func(yield func(func(context.Context) ([]node, error)) bool) {
		for piece := range slices.Chunk(nodes, pieceOf) {
			if !yield(func(ctx context.Context) ([]node, error) { return lookPiece(ctx, folder, piece) }) {
				return
			}
		}
	}
	for seen, err := range inOrder(ctx, scansAhead, pieces) {
		if err != nil {
			return nil, err
		}
		if out = append(out, seen...); len(nodes) <= pieceOf {
			return seen, nil
		}
	}
	return out, nil
}

func lookPiece(ctx context.Context, folder *os.Root, piece []node) ([]node, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := piece[:0]
	for _, n := range piece {
		if n.refused == "" {
			local, kind, why, err := look(folder, path.Base(n.path))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				continue
			case errors.Is(err, fs.ErrPermission):
				n.refused = "it cannot be looked at: " + err.Error()
			case err != nil:
				return nil, err
			case kind == fs.ModeDir:
				n.dir = true
			default:
				n.local, n.refused = local, why
			}
		}
		out = append(out, n)
	}
	return out, nil
}

// look tells how a file looks, and why it cannot be carried.
func (t *tree) look(p string) (l Local, why string, err error) {
	l, _, why, err = look(t.root, p)
	return l, why, err
}

func look(root *os.Root, p string) (l Local, kind fs.FileMode, why string, err error) {
	info, err := root.Lstat(p)
	if err != nil {
		return l, 0, "", err
	}
	l, kind = looks(info), info.Mode().Type()
	switch kind {
	case 0:
		return l, kind, checkSize(l.Size), nil
	case fs.ModeSymlink:
		if l.Link, err = root.Readlink(p); err != nil {
			return l, kind, "", err
		}
		l.Size = int64(len(l.Link))
		if why := checkText(l.Link); why != "" {
			return l, kind, "its target " + why, nil
		}
	default:
		return l, kind, "it is neither a file nor a symbolic link", nil
	}
	return l, kind, "", nil
}

func looks(info fs.FileInfo) Local {
	l := Local{Size: info.Size(), MTime: stamp(info.ModTime()), Mode: uint32(info.Mode().Perm())}
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
