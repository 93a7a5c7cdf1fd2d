package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// busy is how much of the machine others took while something ran. Whoever promises times promises
// them on a machine that is its own.
type busy struct {
	Others float64 // part of all cores' time that other processes took, 0 to 1
	Load   float64 // the highest load average over a minute
	Cores  int
}

// tooBusy is the part of a machine from which on others make the times of a demonstration say
// nothing.
const tooBusy = 1.0 / 3

func (b busy) tooMuch() bool { return b.Others > tooBusy }

func (b busy) String() string {
	return fmt.Sprintf("load %.0f on %d cores, others took %.0f %% of them", b.Load, b.Cores, 100*b.Others)
}

// watch measures the machine from now on.
type watch struct {
	total, own uint64 // at the beginning, in ticks
	mu         sync.Mutex
	load       float64
	stop       chan struct{}
}

// loadPoll is how often the load average is read: the kernel renews it every five seconds.
const loadPoll = 5 * time.Second

func watchMachine() *watch {
	w := &watch{total: ticksOfAll(), own: ticksOfOwn(os.Getpid()), stop: make(chan struct{})}
	w.look()
	go func() {
		tick := time.NewTicker(loadPoll)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.look()
			case <-w.stop:
				return
			}
		}
	}()
	return w
}

func (w *watch) look() {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return
	}
	first, _, _ := strings.Cut(string(b), " ")
	load, _ := strconv.ParseFloat(first, 64)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.load = max(w.load, load)
}

// end stops the measuring and says how it was. Call it while the processes that belong to the run
// still live.
func (w *watch) end(lasted time.Duration) busy {
	close(w.stop)
	w.mu.Lock()
	defer w.mu.Unlock()
	b := busy{Load: w.load, Cores: runtime.NumCPU()}
	all, own := ticksOfAll()-w.total, ticksOfOwn(os.Getpid())-w.own
	if capacity := lasted.Seconds() * ticks * float64(b.Cores); capacity > 0 && all > own {
		b.Others = min(1, float64(all-own)/capacity)
	}
	return b
}

// ticks are the units of /proc a second: USER_HZ, which is 100 on every architecture of Linux that
// Go knows.
const ticks = 100

// ticksOfAll is how long all cores have worked since the machine was started.
func ticksOfAll() (sum uint64) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(first)[1:] {
		const idle, iowait, guest = 3, 4, 8 // guests are in user and nice already
		if n, err := strconv.ParseUint(f, 10, 64); err == nil && i != idle && i != iowait && i < guest {
			sum += n
		}
	}
	return sum
}

// ticksOfOwn is how long a process and all that descend from it have worked, those that have ended
// among them.
func ticksOfOwn(root int) (sum uint64) {
	parents, used := map[int]int{}, map[int]uint64{}
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range all {
		if pid, parent, n, ok := readStat(path); ok {
			parents[pid], used[pid] = parent, n
		}
	}
	for pid, n := range used {
		for at := pid; at > 1; at = parents[at] {
			if at == root {
				sum += n
				break
			}
		}
	}
	return sum
}

// readStat reads a process's parent and the time that it and its children which have ended have
// worked.
func readStat(path string) (pid, parent int, used uint64, ok bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, 0, false // it has ended
	}
	defer f.Close()
	line, _ := bufio.NewReader(f).ReadString('\n')
	end := strings.LastIndexByte(line, ')') // the name of the program may hold anything
	if end < 0 {
		return 0, 0, 0, false
	}
	pid, err = strconv.Atoi(filepath.Base(filepath.Dir(path)))
	fields := strings.Fields(line[end+1:])
	if err != nil || len(fields) < 15 {
		return 0, 0, 0, false
	}
	parent, _ = strconv.Atoi(fields[1])
	for _, i := range []int{11, 12, 13, 14} { // utime, stime, cutime, cstime
		n, _ := strconv.ParseUint(fields[i], 10, 64)
		used += n
	}
	return pid, parent, used, true
}
