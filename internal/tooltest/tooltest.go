// Package tooltest finds the programs that `make setup` brings, for tests. It is for tests only.
//
// Without them a test that needs one is skipped, so that `go test` works in a fresh checkout. Where
// DROVER_TOOLS says that they are there, as `make test` does, it fails: a suite that skipped what
// it stands for would look like one that passed.
package tooltest

import (
	"fmt"
	"os"
	"path/filepath"
)

// env names the folder of the tools; without it, it is the nearest .cache upwards.
const env = "DROVER_TOOLS"

// Test is what Dir needs of a *testing.T.
type Test interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Dir is the folder of the tools, once each of those needed ("pg/bin/postgres") is in it. Without
// one it skips the test, or fails it where DROVER_TOOLS is set.
func Dir(t Test, need ...string) string {
	t.Helper()
	dir := folder()
	for _, n := range need {
		if err := missing(dir, n); err != nil {
			if os.Getenv(env) == "" {
				t.Skipf("%v", err)
			} else {
				t.Fatalf("%v", err)
			}
		}
	}
	return dir
}

// Path is where a tool is, for a TestMain, whether or not it is there: that is for each test to
// ask, by Dir. What is read before the tests begin is not part of what their cached results depend
// on.
func Path(name string) string { return filepath.Join(folder(), name) }

func missing(dir, name string) error {
	if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("there is no %s in %s: make setup brings it (%s=%q)", name, dir, env, os.Getenv(env))
	}
	return nil
}

func folder() string {
	if dir := os.Getenv(env); dir != "" {
		return dir
	}
	dir, err := filepath.Abs(".")
	if err != nil {
		return ".cache"
	}
	for ; filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		if f, err := os.Stat(filepath.Join(dir, ".cache")); err == nil && f.IsDir() {
			return filepath.Join(dir, ".cache")
		}
	}
	return ".cache"
}
