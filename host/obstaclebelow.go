package host

import (
	"errors"
	"io"
	"os"

	"muster/host/linux"

	"golang.org/x/sys/unix"
)

// belowLimit is how many things in a directory that is to go are looked at. In larger
// ones the rest is found out by removing.
const belowLimit = 200_000

// below finds what can't be removed in a directory that is to go: without it, half of
// the directory would be gone before that is known.
func (s *spot) below() error {
	left := belowLimit
	return s.emptiable(s.entry, &left)
}

func (s *spot) emptiable(e *Entry, left *int) error {
	s.v.asked(File(e.path + "/" + All))
	in, err := e.Dir()
	if err != nil {
		return nil
	}
	defer in.Close()
	f, err := in.list()
	if denied(err) {
		return s.obstacle(e.path, err, "permission denied: %s can't look into %s to remove it, which belongs to %s (mode %s)%s", acting(), e.path, UserName(e.stat.Uid), e.Mode(), becoming())
	}
	if err != nil {
		return nil
	}
	defer f.Close()
	sticky := !IsRoot() && e.Mode()&0o1000 != 0 && int(e.stat.Uid) != os.Geteuid()
	for first := true; *left > 0; first = false {
		names, err := f.Readdirnames(1000)
		if first && len(names) > 0 {
			if err := s.writableBelow(in, e); err != nil {
				return err
			}
		}
		for _, name := range names {
			if *left--; *left <= 0 {
				return nil
			}
			if err := s.removable(in, name, sticky, left); err != nil {
				return err
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			return nil
		}
	}
	return nil
}

// writableBelow is whether things can be removed from a directory.
func (s *spot) writableBelow(in *Dir, e *Entry) error {
	if has := attributes(in.fd); has&(linux.STATX_ATTR_IMMUTABLE|linux.STATX_ATTR_APPEND) != 0 {
		return s.obstacle(e.path, unix.EPERM, "the directory %s is immutable or append-only, so that nothing in it can be removed: take that off first (chattr -i -a %s)", e.path, e.path)
	}
	if err := access(in.through(), unix.W_OK|unix.X_OK); denied(err) {
		return s.obstacle(e.path, err, "permission denied: %s may not remove what is in %s, which belongs to %s (mode %s)%s", acting(), e.path, UserName(e.stat.Uid), e.Mode(), becoming())
	}
	return nil
}

// removable is whether one thing in a directory can be removed.
func (s *spot) removable(in *Dir, name string, sticky bool, left *int) error {
	e, err := in.Entry(name)
	if err != nil {
		return nil
	}
	defer e.Close()
	if has := attributes(e.fd); has&(linux.STATX_ATTR_IMMUTABLE|linux.STATX_ATTR_APPEND) != 0 {
		return s.obstacle(e.path, unix.EPERM, "%s, which would be removed, is immutable or append-only: take that off first (chattr -i -a %s)", e.path, e.path)
	}
	if sticky && int(e.stat.Uid) != os.Geteuid() {
		return s.obstacle(e.path, unix.EPERM, "permission denied: %s belongs to %s, and in %s, which is sticky, only they may remove it%s", e.path, UserName(e.stat.Uid), in.path, becoming())
	}
	if e.Type() == Directory && !e.mounted() {
		return s.emptiable(e, left)
	}
	return nil
}
