package files

import (
	"io/fs"
	"syscall"
)

// system fills in what only the system's own stat says.
func system(info fs.FileInfo, l *Local) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		l.CTime, l.Inode, l.UID, l.GID = st.Ctim.Nano(), st.Ino, st.Uid, st.Gid
	}
}
