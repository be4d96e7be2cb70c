package host

import (
	"io/fs"
	"syscall"
	"time"
)

// StatusChanged is when a file's content, owner or mode was changed last: programs set its
// time of modification as they like, and this one they can't. It is the zero time where that
// isn't known.
func StatusChanged(info fs.FileInfo) time.Time {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}
	}
	changed := ctime(st)
	return time.Unix(changed.Unix())
}
