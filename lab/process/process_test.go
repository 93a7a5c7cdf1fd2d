package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/process"
)

// soon is more than anything here takes on a busy machine, and less than what the children would
// take if they were left alone.
const soon = 20 * time.Second

// shell starts a script, and ends it with the test.
func shell(t *testing.T, script string, o process.Options) *process.Process {
	t.Helper()
	o.Name, o.Path, o.Args = "child", "/bin/sh", []string{"-c", script}
	p, err := process.Start(o)
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	return p
}

// written waits until the log has a whole line that begins with mark, and gives the line's rest.
func written(t *testing.T, dir, mark string) (rest string) {
	t.Helper()
	require.Eventually(t, func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "child.log"))
		for line := range strings.Lines(string(b)) {
			if after, ok := strings.CutPrefix(line, mark); ok && strings.HasSuffix(line, "\n") {
				rest = strings.TrimSpace(after)
				return true
			}
		}
		return false
	}, soon, 5*time.Millisecond, "%q is not in the log", mark)
	return rest
}

// gone waits until a process has ended; who adopted it may not have asked how yet.
func gone(t *testing.T, pid string) {
	t.Helper()
	require.Eventually(t, func() bool {
		b, err := os.ReadFile("/proc/" + pid + "/stat")
		return err != nil || strings.Contains(string(b), ") Z ")
	}, soon, 5*time.Millisecond, "process %s is still there", pid)
}

func TestCloseStopsAChildThatListens(t *testing.T) {
	dir := t.TempDir()
	p := shell(t, `trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.01; done`, process.Options{LogDir: dir, Patience: soon})
	written(t, dir, "up")
	p.Close()
	p.Close()
	<-p.Done()
	written(t, dir, "asked")
	require.EqualError(t, p.Err(), "exit status 0")
	require.ErrorIs(t, p.Signal(syscall.SIGTERM), os.ErrProcessDone)
}

func TestCloseSendsTheSignalThatTheChildExpects(t *testing.T) {
	dir := t.TempDir()
	p := shell(t, `trap 'exit 7' INT; trap '' TERM; echo up; while :; do sleep 0.01; done`,
		process.Options{LogDir: dir, Stop: syscall.SIGINT, Patience: soon})
	written(t, dir, "up")
	p.Close()
	require.EqualError(t, p.Err(), "exit status 7")
}

func TestAChildThatIgnoresTheSignalIsKilledWithItsChildren(t *testing.T) {
	dir := t.TempDir()
	p := shell(t, `trap '' TERM; sleep 600 & echo grandchild $!; wait`, process.Options{LogDir: dir, Patience: 50 * time.Millisecond})
	grandchild := written(t, dir, "grandchild")
	p.Close()
	require.EqualError(t, p.Err(), "signal: killed")
	gone(t, grandchild)
}

func TestWhatAChildLeavesInItsGroupGoesWithIt(t *testing.T) {
	dir := t.TempDir()
	p := shell(t, `sleep 600 & echo grandchild $!`, process.Options{LogDir: dir})
	<-p.Done()
	gone(t, written(t, dir, "grandchild"))
}

func TestBothStreamsAreAppendedToTheLog(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		<-shell(t, `echo $WORD; pwd >&2`, process.Options{LogDir: dir, Dir: "/", Env: []string{"WORD=hello"}}).Done()
	}
	b, err := os.ReadFile(filepath.Join(dir, "child.log"))
	require.NoError(t, err)
	require.Equal(t, "hello\n/\nhello\n/\n", string(b))
}

func TestALogThatIsNoFileGetsTheOutputAndDoesNotWaitForGrandchildren(t *testing.T) {
	var log bytes.Buffer
	p := shell(t, `echo hello; sleep 600 & exit 3`, process.Options{Log: &log})
	select {
	case <-p.Done():
	case <-time.After(soon):
		t.Fatal("it waits for a grandchild that holds the pipe")
	}
	require.Equal(t, "hello\n", log.String())
	require.EqualError(t, p.Err(), "exit status 3")
}

func TestReadyWaitsForTheCheck(t *testing.T) {
	p := shell(t, `sleep 600`, process.Options{LogDir: t.TempDir()})
	asked := 0
	require.NoError(t, p.Ready(t.Context(), func(context.Context) error {
		if asked++; asked < 3 {
			return errors.New("not yet")
		}
		return nil
	}))
	require.Equal(t, 3, asked)
}

func TestReadySaysWhyTheChildEndedThoughTheCheckWaits(t *testing.T) {
	p := shell(t, `for i in $(seq 30); do echo line $i; done; echo the port is taken >&2; exit 3`, process.Options{LogDir: t.TempDir()})
	ctx, cancel := context.WithTimeout(t.Context(), 2*soon)
	defer cancel()
	begun := time.Now()
	err := p.Ready(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	require.Less(t, time.Since(begun), soon)
	require.ErrorContains(t, err, "child ended before it was ready (exit status 3)\n")
	require.ErrorContains(t, err, "line 30\nthe port is taken")
	require.NotContains(t, err.Error(), "line 1\n", "only the log's end")
}

func TestReadyEndsWithItsContext(t *testing.T) {
	p := shell(t, `sleep 600`, process.Options{LogDir: t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	refused := errors.New("connection refused")
	err := p.Ready(ctx, func(context.Context) error { return refused })
	require.ErrorIs(t, err, refused)
	require.ErrorIs(t, err, context.Canceled)
}

func TestStartSaysWhatCannotBeRun(t *testing.T) {
	_, err := process.Start(process.Options{Name: "moto", Path: "/nowhere/python", LogDir: t.TempDir()})
	require.ErrorContains(t, err, "start moto: ")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = process.Start(process.Options{Name: "moto", Path: "/bin/true", LogDir: "/nowhere"})
	require.ErrorContains(t, err, "log of moto: ")
}

func TestARootLabRunsAChildAsAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	dir := t.TempDir()
	<-shell(t, `echo user $(id -u) $(id -g)`,
		process.Options{LogDir: dir, Dir: "/", Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}).Done()
	require.Equal(t, "65534 65534", written(t, dir, "user"))
}

// parentDir makes the test below the parent that is killed.
const parentDir = "PROCESS_TEST_PARENT_DIR"

func TestChildrenDieWithAParentThatIsKilled(t *testing.T) {
	if dir := os.Getenv(parentDir); dir != "" {
		for i, death := range []syscall.Signal{0, syscall.SIGQUIT} {
			p := shell(t, `trap 'echo told; exit' QUIT; echo pid $$; while :; do sleep 0.01; done`,
				process.Options{LogDir: filepath.Join(dir, strconv.Itoa(i)), Death: death})
			written(t, filepath.Join(dir, strconv.Itoa(i)), "pid")
			defer p.Kill()
		}
		fmt.Println("started")
		time.Sleep(10 * soon)
		return
	}
	dir := t.TempDir()
	killed, told := filepath.Join(dir, "0"), filepath.Join(dir, "1")
	require.NoError(t, os.Mkdir(killed, 0o755))
	require.NoError(t, os.Mkdir(told, 0o755))
	parent, err := process.Start(process.Options{
		Name: "child", Path: os.Args[0], Args: []string{"-test.run=^" + t.Name() + "$"}, Env: append(os.Environ(), parentDir+"="+dir),
		LogDir: dir,
	})
	require.NoError(t, err)
	t.Cleanup(parent.Kill)
	written(t, dir, "started")
	parent.Kill()
	gone(t, written(t, killed, "pid"))
	gone(t, written(t, told, "pid"))
	written(t, told, "told")
}
