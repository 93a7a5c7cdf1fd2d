package plans

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
)

// Load reads and checks the plan in a file, and the files it names beside it. A plan with mistakes
// gives Problems.
func Load(path string) (*Plan, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("read plan: %w", err)
	case info.IsDir():
		return nil, fmt.Errorf("read plan: %s is a directory: name the file in it", path)
	case info.Mode().IsRegular() && info.Size() > maxBytes: // not even read
		return nil, Problems{tooLarge(path, info.Size())}
	}
	src, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	p, problems := Parse(path, src, filepath.Dir(path))
	return p, problems.Err()
}

func tooLarge(file string, size int64) Problem {
	return Problem{
		File: file, Message: "the file is too large", Found: fmt.Sprintf("%d bytes or more", size),
		Want: fmt.Sprintf("at most %d MiB", maxBytes>>20), Hint: "put the customers into a CSV file",
	}
}

// Parse reads and checks a plan. name is how its problems call the file; dir is where the files it
// names stand, "" if it may name none. With problems there is no plan.
func Parse(name string, src []byte, dir string) (*Plan, Problems) {
	s := readSource(name, src)
	if s.root == nil {
		return nil, s.problems.sorted()
	}
	p := &Plan{src: s}
	s.decode(s.root, reflect.ValueOf(p).Elem(), nil, field{})
	p.fillDefaults()
	p.readFiles(dir)
	p.validate()
	if len(s.problems) > 0 {
		return nil, s.problems.sorted()
	}
	return p, nil
}

// fillDefaults fills what no tag can say.
func (p *Plan) fillDefaults() {
	if len(p.Health.Probes) == 0 {
		probe := Probe{HTTP: &HTTPProbe{}}
		setDefault(reflect.ValueOf(&probe).Elem(), field{})
		setDefault(reflect.ValueOf(probe.HTTP).Elem(), field{})
		p.Health.Probes = []Probe{probe}
	}
	p.fillOrigins()
	if len(p.Policy.Weights) == 0 {
		p.Policy.Weights = []int{5, 25, 100}
	}
	for i := range p.Batches {
		b := &p.Batches[i]
		if b.Rollback == "" {
			b.Rollback = p.Policy.Rollback
		}
		if b.Bake == nil {
			b.Bake = &p.Policy.Bake
		}
	}
}

// maxUserData is EC2's limit, in bytes before base64.
const maxUserData = 16 << 10

// readFiles reads the files that the plan names.
func (p *Plan) readFiles(dir string) {
	root := (*node)(nil)
	if f := p.Customers.File; f != "" {
		text, ok := p.src.readFile(dir, string(f), maxBytes, root.ats("customers", "file"))
		if ok {
			p.Customers.List = p.src.readCustomersFile(p.src.beside(string(f)), text)
		} else {
			p.src.lost(root.at("customers"))
		}
	}
	for name, w := range p.Workloads {
		if u := w.Target.Config.UserData; u != nil && u.File != "" {
			at := root.ats("workloads", string(name), "target", "config", "userData", "file")
			text, ok := p.src.readFile(dir, string(u.File), maxUserData, at)
			u.text = string(text)
			if ok && firstBad(text) >= 0 {
				p.src.report(at, Problem{Message: "the file is not a text in UTF-8", Want: "a script or cloud-init's YAML",
					Hint: "let it fetch what is compressed or binary"})
			}
			if checkNoSecret(u.text) != nil {
				p.src.report(at, Problem{Message: "the file holds a secret in clear (not shown)", Want: "a script that fetches it with " +
					"the instance's role", Hint: "user data can be read by everyone on the instance"})
			}
		}
	}
}

// beside is how problems call a file next to the plan.
func (s *source) beside(file string) string { return filepath.Join(filepath.Dir(s.file), file) }

// readFile reads a file inside the plan's directory; links that lead out of it are refused.
func (s *source) readFile(dir, file string, limit int64, at *node) ([]byte, bool) {
	refuse := func(message string) ([]byte, bool) {
		s.report(at, Problem{Message: message, Found: quoted(file), Want: "a readable file inside the plan's directory"})
		return nil, false
	}
	if dir == "" {
		return refuse("a plan that comes without a directory names no files")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return refuse("the plan's directory cannot be opened")
	}
	defer func() { _ = root.Close() }()
	info, err := root.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refuse("there is no such file")
	case err != nil:
		return refuse("the file cannot be read, or leads out of the plan's directory")
	case !info.Mode().IsRegular():
		return refuse("it is no file")
	case info.Size() > limit:
		return refuse(fmt.Sprintf("the file is larger than %d bytes", limit))
	}
	f, err := root.Open(file)
	if err != nil {
		return refuse("the file cannot be read")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return refuse("the file cannot be read")
	}
	return text, true
}
