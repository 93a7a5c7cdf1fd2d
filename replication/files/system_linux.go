package files

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"
)

// system fills in what only the system's own stat says.
func system(info fs.FileInfo, l *Local) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		l.CTime = Stamp{Sec: st.Ctim.Sec, Nsec: int32(st.Ctim.Nsec)} //nolint:gosec // below a thousand million
		l.Inode, l.UID, l.GID = st.Ino, st.Uid, st.Gid
	}
}

// setMTime sets the modification time of a file or link. os.Chtimes would turn a year that does not
// fit an int64 of nanoseconds into another one.
func setMTime(root *os.Root, p string, to Stamp) error {
	dir, err := root.Open(path.Dir(p))
	if err != nil {
		return err
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: to.Sec, Nsec: int64(to.Nsec)}}
	err = unix.UtimesNanoAt(int(dir.Fd()), path.Base(p), times, unix.AT_SYMLINK_NOFOLLOW) //nolint:gosec // a descriptor
	return errors.Join(err, dir.Close())
}

// mayWrite says whether files can be made in a folder: nil, or why not (an *fs.PathError of
// opWrite). A file system that is mounted read-only says so too.
func mayWrite(root *os.Root, p string) error {
	dir, err := root.Open(p)
	if err != nil {
		return err
	}
	err = unix.Faccessat(int(dir.Fd()), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS) //nolint:gosec // a descriptor
	if err != nil {
		err = &fs.PathError{Op: opWrite, Path: p, Err: err}
	}
	return errors.Join(err, dir.Close())
}
