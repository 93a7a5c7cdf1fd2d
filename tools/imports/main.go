// Command imports holds every package's imports against the table of the house (table.go) and names
// each one that is against it. Tests may import what they like. `make lint` runs it in the root of
// the repository.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

const module = "github.com/drover-migration/drover/"

// room is a row of the table.
type room struct {
	at     string // folder, from the root of the repository
	ours   string
	others string
	far    bool
	why    string
}

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string // what it imports, and what that imports
}

func main() {
	pkgs, err := list()
	if err != nil {
		fmt.Fprintln(os.Stderr, "imports:", err)
		os.Exit(1)
	}
	var all []string
	for _, p := range pkgs {
		all = append(all, complaints(p)...)
	}
	for _, c := range all {
		fmt.Println(c)
	}
	if len(all) > 0 {
		fmt.Println("If the table is in the way, name what you need as a small interface and let worker pass it in; " +
			"tools/imports/table.go is the table.")
		os.Exit(1)
	}
}

func list() (out []pkg, err error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...")
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list ./...: %w", err)
	}
	for d := json.NewDecoder(strings.NewReader(string(b))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("read what go list says: %w", err)
		}
		out = append(out, p)
	}
}

// complaints are a package's imports that are against the table.
func complaints(p pkg) (out []string) {
	at := strings.TrimPrefix(p.ImportPath, module)
	r, ok := roomOf(at)
	if !ok {
		return []string{fmt.Sprintf("%s: it has no room; give it a row in tools/imports/table.go", at)}
	}
	for _, i := range p.Imports {
		if !r.allows(i) {
			out = append(out, fmt.Sprintf("%s: it imports %s: %s", at, strings.TrimPrefix(i, module), r.why))
		}
	}
	if !r.far {
		return out
	}
	for _, i := range p.Deps {
		if !slices.Contains(p.Imports, i) && !strings.HasPrefix(i, module) && !r.allows(i) {
			out = append(out, fmt.Sprintf("%s: what it imports imports %s: %s", at, i, r.why))
		}
	}
	return out
}

// roomOf is the room with the longest name that a folder lies in.
func roomOf(folder string) (best room, ok bool) {
	for _, r := range house {
		if within(folder, r.at) && len(r.at) >= len(best.at) {
			best, ok = r, true
		}
	}
	return best, ok
}

// within says whether a package is p or lies below it.
func within(pkg, p string) bool { return pkg == p || strings.HasPrefix(pkg, p+"/") }

func (r room) allows(path string) bool {
	if folder, ours := strings.CutPrefix(path, module); ours {
		if within(folder, r.at) {
			return true
		}
		names := strings.Fields(r.ours)
		for i, n := range names {
			exact := i > 0 && names[i-1] == "="
			if n != "=" && (folder == n || !exact && within(folder, n)) {
				return true
			}
		}
		return false
	}
	names := strings.Fields(r.others)
	listed := slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(path, n) })
	if len(names) == 0 || names[0] != "+" {
		return !listed
	}
	first, _, _ := strings.Cut(path, "/")
	return listed || !strings.Contains(cmp.Or(first, path), ".") // the standard library's paths have no dot in their beginning
}
