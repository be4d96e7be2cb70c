package host

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"muster/host/linux"

	"golang.org/x/sys/unix"
)

// Obstructed is a change that can tell beforehand why the host, as it is, wouldn't
// let it be made. It is asked while planning and once more at its turn: nothing is
// then touched, where Apply would find out half-way.
type Obstructed interface {
	// Obstacle returns an *Obstacle, or nil where nothing is known against it.
	Obstacle(v *View) error
}

// Obstacle is why an edit can't be made. An earlier task may still remove it: who
// asks decides that by what is pending.
type Obstacle struct {
	Path string // what is in the way
	Text string // what it is, and what to do
	Err  error  // what the system call would fail with
	// Planned: it follows from what earlier tasks will leave there.
	Planned bool
}

func (o *Obstacle) Error() string { return o.Text }

// Unwrap is the error that the edit would end with.
func (o *Obstacle) Unwrap() error { return &fs.PathError{Op: "edit", Path: o.Path, Err: o.Err} }

// Way is how an edit acts on a path.
type Way int

// The ways of editing.
const (
	Putting   Way = iota // something made beside it takes the path's place
	MakingDir            // a directory is made where nothing stands
	Removing             // what stands there goes
	Rewriting            // a file's content changes where it is
	Altering             // mode, owner or group change
)

// inside reports whether the edit is one of the directory, not of the thing alone.
func (w Way) inside() bool { return w != Rewriting && w != Altering }

// Obstacle returns why an edit of a resolved path couldn't be made, nil where nothing
// is known against it: before is what stands there, after what is to. It looks at
// the host; of what is planned it takes into account who owns what.
func (v *View) Obstacle(path string, how Way, before, after FileInfo) error {
	s, err := v.spot(path)
	if err != nil || s == nil {
		return err
	}
	defer s.close()
	for _, check := range []func(Way) error{s.name, s.kernels, s.writable, s.flags, s.mounted, s.allowed} {
		if err := check(how); err != nil {
			return err
		}
	}
	if how.inside() && s.entry != nil && s.entry.Type() == Directory {
		if err := s.below(); err != nil {
			return err
		}
	}
	if how == Rewriting && s.entry != nil {
		if err := ours(s.dir, s.entry); err != nil {
			return err
		}
		if pid := runs(s.entry); pid != "" {
			return s.obstacle(path, unix.ETXTBSY, "%s is a program that is running (process %s), and can't be written to meanwhile: leave out in_place, which puts another file in its place", path, pid)
		}
	}
	return s.given(how, before, after)
}

// spot is a place in the file system at which an edit is to be made.
type spot struct {
	v     *View
	path  string
	dir   *Dir   // the innermost directory that is there
	whole bool   // it is the path's own, and not one above it
	entry *Entry // what stands there, nil for nothing
}

// spot opens a place. It is nil where that can't be done: what that means is for
// others to tell.
func (v *View) spot(path string) (*spot, error) {
	s := &spot{v: v, path: path, whole: true}
	for at := filepath.Dir(path); ; at = filepath.Dir(at) {
		d, err := OpenDir(at)
		if err == nil {
			s.dir = d
			break
		}
		if at == "/" {
			return nil, nil
		}
		s.whole = false // to be made yet, or in the place of something else
	}
	if s.whole {
		e, err := s.dir.Entry(filepath.Base(path))
		if err != nil && !absent(err) {
			s.close()
			return nil, nil
		}
		s.entry = e
	}
	return s, nil
}

func (s *spot) close() {
	s.entry.Close()
	s.dir.Close()
}

func (s *spot) obstacle(at string, err error, format string, a ...any) error {
	return &Obstacle{Path: at, Err: err, Text: fmt.Sprintf(format, a...)}
}

// file is the descriptor that answers for an edit, and its path: of the thing, or of
// its directory.
func (s *spot) file(how Way) (int, string) {
	if !how.inside() && s.entry != nil {
		return s.entry.fd, s.path
	}
	return s.dir.fd, s.dir.path
}

// name finds names that are too long.
func (s *spot) name(Way) error {
	var st linux.Statfs_t
	base := filepath.Base(s.path)
	if err := linux.Fstatfs(s.dir.fd, &st); err != nil || st.Namelen <= 0 || int64(len(base)) <= int64(st.Namelen) {
		return nil
	}
	return s.obstacle(s.path, unix.ENAMETOOLONG, "the name %.40s… has %d bytes, and the file system of %s takes %d: choose a shorter one", base, len(base), s.dir.path, st.Namelen)
}

// writable finds file systems that are mounted read-only.
func (s *spot) writable(how Way) error {
	fd, at := s.file(how)
	var st linux.Statfs_t
	if err := linux.Fstatfs(fd, &st); err != nil || st.Flags&linux.ST_RDONLY == 0 {
		return nil
	}
	mount := mountOf(at)
	return s.obstacle(at, unix.EROFS, "%s is on a file system that is mounted read-only: mount it for writing first (mount -o remount,rw %s)", s.path, mount)
}

// kernels finds what the kernel makes itself: in its file systems nothing can be made,
// replaced or removed by others, only written to. Some take directories.
func (s *spot) kernels(how Way) error {
	var st linux.Statfs_t
	if !how.inside() || linux.Fstatfs(s.dir.fd, &st) != nil {
		return nil
	}
	switch uint32(st.Type) {
	case linux.PROC_SUPER_MAGIC, linux.SYSFS_MAGIC, linux.DEBUGFS_MAGIC, linux.SECURITYFS_MAGIC, linux.DEVPTS_SUPER_MAGIC, linux.SELINUX_MAGIC, linux.BINFMTFS_MAGIC:
	case linux.CGROUP_SUPER_MAGIC, linux.CGROUP2_SUPER_MAGIC, linux.TRACEFS_MAGIC:
		if how == MakingDir || how == Removing {
			return nil
		}
	default:
		return nil
	}
	hint := "what it offers there can only be written to (in_place = true of the kinds file, template, line and text_block)"
	if strings.HasPrefix(s.path, "/proc/sys/") {
		hint = "the kind sysctl sets the kernel's parameters"
	}
	return s.obstacle(s.path, unix.EPERM, "%s is in a file system of the kernel's own, in which nobody else makes, replaces or removes anything: %s", s.path, hint)
}

// attributes are a file's attributes as statx(2) names them; 0 where it can't tell.
func attributes(fd int) uint64 {
	var st linux.Statx_t
	if err := linux.Statx(fd, "", linux.AT_EMPTY_PATH|linux.AT_NO_AUTOMOUNT, linux.STATX_TYPE, &st); err != nil {
		return 0
	}
	return st.Attributes & st.Attributes_mask
}

// flags finds what chattr(1) has made immutable or append-only.
func (s *spot) flags(how Way) error {
	if how.inside() {
		has, dir := attributes(s.dir.fd), s.dir.path
		switch {
		case has&linux.STATX_ATTR_IMMUTABLE != 0:
			return s.obstacle(dir, unix.EPERM, "the directory %s is immutable, so that nothing in it can be made, replaced or removed: take that off first (chattr -i %s)", dir, dir)
		case has&linux.STATX_ATTR_APPEND != 0 && how != MakingDir:
			return s.obstacle(dir, unix.EPERM, "the directory %s is append-only, so that nothing in it can be replaced or removed: take that off first (chattr -a %s)", dir, dir)
		}
	}
	if s.entry == nil {
		return nil
	}
	switch has := attributes(s.entry.fd); {
	case has&linux.STATX_ATTR_IMMUTABLE != 0:
		return s.obstacle(s.path, unix.EPERM, "%s is immutable: take that off first (chattr -i %s)", s.path, s.path)
	case has&linux.STATX_ATTR_APPEND != 0:
		return s.obstacle(s.path, unix.EPERM, "%s is append-only: take that off first (chattr -a %s)", s.path, s.path)
	}
	return nil
}

// mounted finds what can't be replaced because something is mounted on it.
func (s *spot) mounted(how Way) error {
	if s.entry == nil || !how.inside() || !s.entry.mounted() {
		return nil
	}
	if how == Putting && s.entry.Type() == Regular {
		return s.obstacle(s.path, unix.EBUSY, "%s is mounted by itself, so that no other file can take its place: unmount it first, or write to it where it is (in_place = true of the kinds file, template, line and text_block)", s.path)
	}
	return s.obstacle(s.path, unix.EBUSY, "something is mounted at %s: unmount it first", s.path)
}

// mounted reports whether something is mounted at it: it is then the root of that.
func (e *Entry) mounted() bool {
	var st linux.Statx_t
	err := linux.Statx(e.fd, "", linux.AT_EMPTY_PATH|linux.AT_NO_AUTOMOUNT, linux.STATX_TYPE, &st)
	if err == nil && st.Attributes_mask&linux.STATX_ATTR_MOUNT_ROOT != 0 {
		return st.Attributes&linux.STATX_ATTR_MOUNT_ROOT != 0
	}
	return mountedAt(e.path) // before Linux 5.8
}
