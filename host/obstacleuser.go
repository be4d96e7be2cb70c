package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// What a user may write and give away. Root is asked, too, where the kernel decides:
// there are file systems on which root may not write (NFS).

// allowed finds places that whoever acts may not write to.
func (s *spot) allowed(how Way) error {
	planned, err := s.entered(how)
	if err != nil || planned && how.inside() {
		return err
	}
	if !how.inside() {
		if how != Rewriting || s.entry == nil {
			return nil
		}
		if err := access(s.entry.through(), unix.W_OK); denied(err) {
			uid, _ := s.entry.Owner()
			return s.obstacle(s.path, err, "permission denied: %s may not write to %s, which belongs to %s (mode %s)%s", acting(), s.path, UserName(uint32(uid)), s.entry.Mode(), becoming())
		}
		return nil
	}
	if err := access(s.dir.through(), unix.W_OK|unix.X_OK); denied(err) {
		info, statErr := lstat(s.dir.path)
		if statErr != nil {
			return nil
		}
		return s.obstacle(s.dir.path, err, "permission denied: %s may not write in %s, which belongs to %s (mode %s)%s", acting(), s.dir.path, info.Owner, info.Mode, becoming())
	}
	if IsRoot() || s.entry == nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(s.dir.fd, &st); err != nil || st.Mode&unix.S_ISVTX == 0 || int(st.Uid) == os.Geteuid() {
		return nil
	}
	if uid, _ := s.entry.Owner(); uid != os.Geteuid() {
		return s.obstacle(s.path, unix.EPERM, "permission denied: %s belongs to %s, and in %s, which is sticky, only they may replace or remove it%s", s.path, UserName(uint32(uid)), s.dir.path, becoming())
	}
	return nil
}

// entered finds directories on the way that whoever acts will not get into, as they are
// planned; planned is whether the innermost one is.
func (s *spot) entered(how Way) (planned bool, err error) {
	dir := filepath.Dir(s.path)
	value, _, _, err := s.v.Look(File(dir))
	planned = err == nil && value != nil
	if how.inside() {
		return planned, s.v.entered(dir, MayWrite|MayEnter)
	}
	return planned, s.v.entered(dir, MayEnter)
}

// entered returns an obstacle where a directory on the way to dir is planned so that
// whoever acts may not enter it, or dir itself so that they may not do all of what there.
func (v *View) entered(dir string, what Mode) error {
	if IsRoot() {
		return nil
	}
	for at := dir; ; at, what = filepath.Dir(at), MayEnter {
		var planned FileInfo
		value, laid, _, err := v.Look(File(at))
		if laid && err == nil && value != nil && Unmarshal(value, &planned) == nil && planned.Type == Directory && !planned.ACL && !self().May(planned, what) {
			verb := "enter"
			if what != MayEnter {
				verb = "write in"
			}
			return ahead(at, "permission denied: %s may not %s %s, which will belong to %s (mode %s)%s", acting(), verb, at, planned.Owner, planned.Mode, becoming())
		}
		if at == "/" {
			return nil
		}
	}
}

// ahead is an obstacle of what earlier tasks will leave.
func ahead(at, format string, a ...any) error {
	return &Obstacle{Path: at, Err: unix.EACCES, Text: fmt.Sprintf(format, a...), Planned: true}
}

// withholds is why a planned file's content isn't told here: whoever acts may not read
// it, or only root's process knows whether they may.
func (v *View) withholds(path string, info FileInfo) error {
	if IsRoot() {
		return NotYet(File(path))
	}
	if err := v.entered(filepath.Dir(path), MayEnter); err != nil {
		return err
	}
	if !info.ACL && !self().May(info, MayRead) {
		return ahead(path, "permission denied: %s may not read %s, which will belong to %s (mode %s)%s", acting(), path, info.Owner, info.Mode, becoming())
	}
	return NotYet(File(path))
}

// given finds owners, groups and modes that only root, or another user, can give. Of a
// thing that earlier tasks leave so that is known for good.
func (s *spot) given(how Way, before, after FileInfo) error {
	err := s.gives(how, before, after)
	if o, ok := err.(*Obstacle); ok {
		value, laid, _, lookErr := s.v.Look(File(s.path))
		o.Planned = laid && lookErr == nil && value != nil
	}
	return err
}

func (s *spot) gives(how Way, before, after FileInfo) error {
	if IsRoot() || how == Removing {
		return nil
	}
	me := self()
	if how == Altering && before.Exists() && !me.Owners[before.Owner] {
		return s.obstacle(s.path, unix.EPERM, "permission denied: %s belongs to %s, and only they can give it another mode or group%s", s.path, before.Owner, becoming())
	}
	kept := how == Altering || how == Rewriting // what isn't changed needn't be one's own to give
	put := before.Type == Regular && how == Putting
	if !me.Owners[after.Owner] && !(kept && after.Owner == before.Owner) {
		if put && after.Owner == before.Owner {
			return s.obstacle(s.path, unix.EPERM, "permission denied: %s belongs to %s, and a file that takes its place would belong to %s%s; or write to it where it is (in_place = true of the kinds file, template, line and text_block)", s.path, before.Owner, acting(), becoming())
		}
		return s.obstacle(s.path, unix.EPERM, "%s is to belong to %s, which only root can do: add become = true to the task", s.path, after.Owner)
	}
	ours := me.Groups[after.Group]
	if !ours && !(kept && after.Group == before.Group) && (how == Altering || !s.handsOn(after.Group)) {
		if put && after.Group == before.Group {
			return s.obstacle(s.path, unix.EPERM, "permission denied: %s has the group %s, which %s isn't in, and a file that takes its place couldn't have it%s; or write to it where it is (in_place = true of the kinds file, template, line and text_block)", s.path, before.Group, acting(), becoming())
		}
		return s.obstacle(s.path, unix.EPERM, "permission denied: %s is to have the group %s, which %s isn't in, so that only root can give it%s", s.path, after.Group, acting(), becoming())
	}
	alters := how != Rewriting || before.Mode != after.Mode
	if after.Type == Regular && after.Mode&0o2000 != 0 && !ours && alters {
		return s.obstacle(s.path, unix.EPERM, "permission denied: %s is to be setgid with the group %s, which %s isn't in, so that only root can set that%s", s.path, after.Group, acting(), becoming())
	}
	return nil
}

// handsOn reports whether the directory gives what is made in it its own group, that
// one. Of a directory that isn't there yet nobody can tell.
func (s *spot) handsOn(group string) bool {
	dir, err := s.v.Lstat(filepath.Dir(s.path))
	if err != nil || !dir.Exists() {
		return true
	}
	return dir.Mode&0o2000 != 0 && dir.Group == group
}

// access asks the kernel what this process may do with a file. Of the effective user
// it can be asked from Linux 5.8 on; before, x/sys answers by permission bits alone,
// which is wrong where there are lists of access control.
func access(path string, what uint32) error {
	flags := 0
	if os.Getuid() != os.Geteuid() || os.Getgid() != os.Getegid() {
		flags = unix.AT_EACCESS
	}
	return unix.Faccessat(unix.AT_FDCWD, path, what, flags)
}

// denied tells a lack of permission from answers that say nothing.
func denied(err error) bool { return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) }

func acting() string { return UserName(uint32(os.Geteuid())) }

// becoming is what to do about a lack of permission.
func becoming() string {
	if IsRoot() {
		return "; its file system doesn't let root"
	}
	return ": let root do it (become = true), or a user who may"
}
