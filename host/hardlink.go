package host

import (
	"os"
	"strings"

	"muster/host/linux"

	"golang.org/x/sys/unix"
)

// hardLink returns why the file at target couldn't get another name at path.
func (v *View) hardLink(path, target string) error {
	s, err := v.spot(path)
	if err != nil || s == nil {
		return err
	}
	defer s.close()
	t, err := v.spot(target)
	if err != nil || t == nil {
		return err
	}
	defer t.close()
	file := t.dir.fd // a file that is to be made yet will be where its directory is
	if t.entry != nil {
		file = t.entry.fd
	}
	if apart(s.dir.fd, file) {
		return s.obstacle(path, unix.EXDEV, "%s can't be a hard link to %s: they are on two file systems (%s and %s), and a file has its names on one; make it a symbolic link, or copy the file", path, target, mountOf(s.dir.path), mountOf(target))
	}
	if t.entry == nil {
		return nil
	}
	if has := attributes(t.entry.fd); has&(linux.STATX_ATTR_IMMUTABLE|linux.STATX_ATTR_APPEND) != 0 {
		return s.obstacle(target, unix.EPERM, "%s is immutable or append-only, so that it can't get another name: take that off first (chattr -i -a %s)", target, target)
	}
	uid, _ := t.entry.Owner()
	if IsRoot() || uid == os.Geteuid() || !protectedLinks() {
		return nil
	}
	mode := t.entry.Mode()
	err = access(t.entry.through(), unix.R_OK|unix.W_OK)
	if denied(err) || mode&0o4000 != 0 || mode&0o2010 == 0o2010 {
		return s.obstacle(target, unix.EPERM, "permission denied: %s belongs to %s, and only they can give it another name (fs.protected_hardlinks)%s", target, UserName(uint32(uid)), becoming())
	}
	return nil
}

// apart reports whether two open things are on two mounts, or on parts of one file
// system that share no files.
func apart(a, b int) bool {
	m, err1 := mountID(a)
	n, err2 := mountID(b)
	if err1 != nil || err2 != nil {
		return false
	}
	if m != n {
		return true
	}
	var fs linux.Statfs_t
	var x, y unix.Stat_t
	return linux.Fstatfs(a, &fs) == nil && fs.Type == linux.BTRFS_SUPER_MAGIC &&
		unix.Fstat(a, &x) == nil && unix.Fstat(b, &y) == nil && x.Dev != y.Dev
}

// protectedLinks reports whether others' files can be linked to only by those who
// may read and write them: proc(5), fs.protected_hardlinks.
func protectedLinks() bool {
	data, err := os.ReadFile("/proc/sys/fs/protected_hardlinks")
	return err == nil && strings.TrimSpace(string(data)) == "1"
}
