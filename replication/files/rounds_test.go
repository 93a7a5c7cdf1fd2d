package files_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// names are such that order by folder and order by key differ, and that files become folders.
var names = []string{"a", "a-b", "a.b", "a/b", "a/b/c", "a/b-c", "a0", "b/a", "b/é", "b", "c/d/e", "c/d", "c-d", "Z", "z/z/z"}

// here are the contents of the tree's files by path, there those of the objects.
func (p *pair) here() map[string]string {
	p.t.Helper()
	out := map[string]string{}
	require.NoError(p.t, filepath.WalkDir(p.dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(p.dir, at)
		out[name] = p.read(name)
		return err
	}))
	return out
}

func (p *pair) there() map[string]string {
	p.t.Helper()
	out := map[string]string{}
	for _, key := range p.keys() {
		out[strings.TrimPrefix(key, "acme/")] = p.object(key)
	}
	return out
}

// change writes or removes something at home.
func (p *pair) change(r *rand.Rand, home migration.Side, n int) {
	p.t.Helper()
	name := names[r.IntN(len(names))]
	remove, have := p.remove, p.there
	if home == migration.OnPrem {
		have = p.here
		remove = func(key string) {
			require.NoError(p.t, os.Remove(filepath.Join(p.dir, strings.TrimPrefix(key, "acme/"))))
		}
	}
	now := have()
	if _, ok := now[name]; ok && r.IntN(3) == 0 {
		if len(now) > 1 { // a tree of which nothing is left is taken for one that is not mounted
			remove("acme/" + name)
		}
		return
	}
	for other := range now { // a name is a file or a folder
		if strings.HasPrefix(other, name+"/") || strings.HasPrefix(name, other+"/") {
			remove("acme/" + other)
		}
	}
	if home == migration.AWS {
		p.put("acme/"+name, fmt.Sprint("content ", n))
		return
	}
	_ = removeEmpty(filepath.Join(p.dir, name))
	p.write(name, fmt.Sprint("content ", n))
}

// removeEmpty removes a folder that has nothing but folders.
func removeEmpty(dir string) error {
	below, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, d := range below {
		if err := removeEmpty(filepath.Join(dir, d.Name())); err != nil {
			return err
		}
	}
	return os.Remove(dir)
}

// A customer goes there and back, and changes whatever it likes wherever it is at home.
func TestTheSidesAreEqualAfterEachPassWhateverHappened(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test
	t.Logf("seed %d", seed)
	p := newPair(t)
	p.write("stays", "always")
	home, n := migration.OnPrem, 0
	for round := range 25 {
		for range r.IntN(5) {
			n++
			p.change(r, home, n)
		}
		how := r.IntN(3)
		switch how {
		case 0:
			p.pass(home)
		case 1:
			p.final(home)
		default:
			run, err := p.job(home).Warm(t.Context())
			require.NoError(t, err)
			for range r.IntN(4) {
				n++
				p.change(r, home, n)
			}
			_, err = run.Final(t.Context(), func(context.Context) error { return nil })
			run.Close()
			require.NoError(t, err, "round %d, home is %s", round, home)
		}
		require.Equal(t, p.here(), p.there(), "round %d by way %d, home is %s", round, how, home)
		if how > 0 && r.IntN(2) == 0 {
			home = home.Other()
		}
	}
}
