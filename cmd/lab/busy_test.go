package main

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// work keeps a core busy for some time in a process of its own, and waits until that time was used.
func work(t *testing.T) *exec.Cmd {
	t.Helper()
	c := exec.Command("/bin/sh", "-c", "while :; do :; done")
	require.NoError(t, c.Start())
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	return c
}

func TestTimeThatOurOwnProcessesTookIsNotOthers(t *testing.T) {
	before := ticksOfOwn(os.Getpid())
	child := work(t)
	used := func() bool { return ticksOfOwn(child.Process.Pid) > ticks/2 }
	require.Eventually(t, used, 30*time.Second, 50*time.Millisecond)
	require.Greater(t, ticksOfOwn(os.Getpid())-before, uint64(ticks/2), "a child's time is ours")
	require.GreaterOrEqual(t, ticksOfAll(), ticksOfOwn(os.Getpid()))

	require.NoError(t, child.Process.Kill())
	_ = child.Wait()
	require.Greater(t, ticksOfOwn(os.Getpid())-before, uint64(ticks/2), "when it has ended too")
}

func TestAWatchOfAMachineKnowsItsLoad(t *testing.T) {
	w := watchMachine()
	child := work(t)
	require.Eventually(t, func() bool { return ticksOfOwn(child.Process.Pid) > ticks/5 }, 30*time.Second, 50*time.Millisecond)
	b := w.end(time.Second)
	require.Positive(t, b.Cores)
	require.GreaterOrEqual(t, b.Others, 0.0)
	require.LessOrEqual(t, b.Others, 1.0)
	require.Equal(t, "load 29 on 2 cores, others took 71 % of them", busy{Others: 0.71, Load: 29.2, Cores: 2}.String())
}
