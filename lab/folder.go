package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrRuns is that a lab runs in the folder already.
var ErrRuns = errors.New("a lab runs in this folder already")

// folder is a lab's folder, which is its own while it runs: the kernel holds the lock, and lets go
// when the process is gone, whatever ended it. The lock stands beside the folder, since the folder
// is emptied.
type folder struct {
	dir  string
	lock *os.File
}

// holder is what a lab says of itself in its lock, to who comes later.
type holder struct {
	PID int    `json:"pid"`
	URL string `json:"url,omitempty"` // of Temporal's UI, or its address; empty: it is starting
}

// takeFolder takes a folder and empties it. Error: ErrRuns with who has it, or the folder cannot be
// written.
func takeFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	f := &folder{dir: dir}
	for f.lock == nil {
		if err := f.tryLock(); err != nil {
			return nil, err
		}
	}
	if err := f.say(holder{PID: os.Getpid()}); err != nil {
		return nil, errors.Join(err, f.lock.Close())
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, errors.Join(fmt.Errorf("empty the lab's folder: %w", err), f.lock.Close())
	}
	return f, nil
}

// tryLock takes the lock; without an error and without the lock, the file that it locked was taken
// away in that moment.
func (f *folder) tryLock() error {
	path := f.dir + ".lock"
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if errors.Is(err, fs.ErrPermission) { // another user's: whether it is held can be seen all the same
		file, err = os.Open(path)
	}
	if err != nil {
		return fmt.Errorf("lock the lab's folder: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return held(f.dir, file)
		}
		return fmt.Errorf("lock the lab's folder: %w", err)
	}
	ours, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if now, err := os.Stat(path); err != nil || !os.SameFile(ours, now) {
		return file.Close()
	}
	f.lock = file
	return nil
}

// held says who has the folder.
func held(dir string, lock io.Reader) error {
	var h holder
	if err := json.NewDecoder(lock).Decode(&h); err != nil {
		return fmt.Errorf("%w: %s (it has just been started)", ErrRuns, dir)
	}
	where := "it is starting"
	if h.URL != "" {
		where = h.URL
	}
	return fmt.Errorf("%w: %s (pid %d, %s); use it, end it with Ctrl-C where it was started, or start another in another folder", ErrRuns,
		dir, h.PID, where)
}

// say writes who has the folder.
func (f *folder) say(h holder) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := f.lock.Truncate(0); err != nil {
		return fmt.Errorf("write the lock of the lab's folder: %w", err)
	}
	_, err = f.lock.WriteAt(b, 0)
	return err
}

// leave removes the folder and lets go of it.
func (f *folder) leave() {
	_ = os.RemoveAll(f.dir)
	_ = os.Remove(f.lock.Name())
	_ = f.lock.Close()
}
