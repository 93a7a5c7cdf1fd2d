// Package tools is the tests of the setup, tools/setup.py, as make calls it.
package tools

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// endlessGo is a Go that builds for ever, says nothing of it, and has temporary files where it is
// told to. Ctrl-C does not end it.
const endlessGo = `#!/bin/sh
trap '' INT
case "$1 $2" in
"env GOVERSION") echo go99.0.0 ;;
"env GOTOOLCHAIN") echo local ;;
*) mkdir "${GOTMPDIR:-${TMPDIR:-/tmp}}/go-build1" && exec sleep 600 ;;
esac
`

func TestALongBuildSaysThatItGoesOnAndLeavesNothingWhenItIsInterrupted(t *testing.T) {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt) // where the tests ignore it, so would what they start
	t.Cleanup(func() { signal.Stop(interrupts) })
	for _, c := range []struct{ what, says string }{
		{"build", "setup: still at it: build bin/drover and bin/lab (the first time: 1 to 7 minutes), 10 s so far"},
		{"lint", "setup: building golangci-lint v2.12.2, once: 2 to 10 minutes"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			dir, temporary := checkout(t), t.TempDir()
			cmd := exec.Command("python3", "tools/setup.py", c.what)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "path")+":"+os.Getenv("PATH"), "TMPDIR="+temporary, "GOTMPDIR=")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a shell starts it: Ctrl-C is for all of the group
			err := os.WriteFile(filepath.Join(dir, "path", "go"), []byte(endlessGo), 0o755)
			require.NoError(t, err)
			out, err := cmd.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
			lines := make(chan string, 100)
			go func() {
				defer close(lines)
				for s := bufio.NewScanner(out); s.Scan(); {
					lines <- s.Text()
				}
			}()
			require.Equal(t, c.says, next(t, lines))
			require.Eventually(t, func() bool { return len(builds(t, dir)) == 2 }, 20*time.Second, 10*time.Millisecond)

			require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
			require.Equal(t, "setup: interrupted; the next run goes on from here", next(t, lines))
			var code *exec.ExitError
			require.ErrorAs(t, cmd.Wait(), &code)
			require.Equal(t, 130, code.ExitCode())
			require.Empty(t, builds(t, dir))
			left, err := os.ReadDir(temporary)
			require.NoError(t, err)
			require.Empty(t, left)
			require.ErrorIs(t, syscall.Kill(-cmd.Process.Pid, 0), syscall.ESRCH, "what it had started has ended")
		})
	}
}

// checkout is a checkout with the setup alone.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, folder := range []string{"tools", "path"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, folder), 0o755))
	}
	for _, name := range []string{"tools/setup.py", "tools/requirements.txt", "go.mod"} {
		b, err := os.ReadFile(filepath.Join("..", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o644))
	}
	return dir
}

// next is the next line, or none within a minute.
func next(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case line := <-lines:
		return line
	case <-time.After(time.Minute):
		return "(nothing for a minute)"
	}
}

// builds are the temporary folders of builds below dir.
func builds(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if name := filepath.Base(path); strings.HasPrefix(name, "go-build") || strings.HasPrefix(name, "setup-") {
			out = append(out, path)
		}
		return nil
	})
	require.NoError(t, err)
	return out
}
