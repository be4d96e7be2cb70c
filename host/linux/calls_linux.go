// Package linux has those calls and constants of golang.org/x/sys/unix that only Linux has
// and package host needs. Elsewhere muster only drives hosts: there the calls fail with
// ENOSYS, so that the controller can be built.
package linux

import "golang.org/x/sys/unix"

// What the calls take and give, as x/sys/unix has them.
const (
	STATX_ATTR_IMMUTABLE  = unix.STATX_ATTR_IMMUTABLE
	STATX_ATTR_APPEND     = unix.STATX_ATTR_APPEND
	STATX_ATTR_MOUNT_ROOT = unix.STATX_ATTR_MOUNT_ROOT
	STATX_TYPE            = unix.STATX_TYPE
	O_PATH                = unix.O_PATH
	AT_EMPTY_PATH         = unix.AT_EMPTY_PATH
	AT_NO_AUTOMOUNT       = unix.AT_NO_AUTOMOUNT
	RENAME_NOREPLACE      = unix.RENAME_NOREPLACE
	RENAME_EXCHANGE       = unix.RENAME_EXCHANGE
	RESOLVE_NO_SYMLINKS   = unix.RESOLVE_NO_SYMLINKS
	RESOLVE_NO_XDEV       = unix.RESOLVE_NO_XDEV
	TRACEFS_MAGIC         = unix.TRACEFS_MAGIC
	SYSFS_MAGIC           = unix.SYSFS_MAGIC
	ST_RDONLY             = unix.ST_RDONLY
	SELINUX_MAGIC         = unix.SELINUX_MAGIC
	SECURITYFS_MAGIC      = unix.SECURITYFS_MAGIC
	PROC_SUPER_MAGIC      = unix.PROC_SUPER_MAGIC
	MFD_CLOEXEC           = unix.MFD_CLOEXEC
	FALLOC_FL_KEEP_SIZE   = unix.FALLOC_FL_KEEP_SIZE
	DEVPTS_SUPER_MAGIC    = unix.DEVPTS_SUPER_MAGIC
	DEBUGFS_MAGIC         = unix.DEBUGFS_MAGIC
	CGROUP_SUPER_MAGIC    = unix.CGROUP_SUPER_MAGIC
	CGROUP2_SUPER_MAGIC   = unix.CGROUP2_SUPER_MAGIC
	BTRFS_SUPER_MAGIC     = unix.BTRFS_SUPER_MAGIC
	BINFMTFS_MAGIC        = unix.BINFMTFS_MAGIC
)

type (
	// OpenHow is what Openat2 takes.
	OpenHow = unix.OpenHow
	// Statx_t is what Statx fills.
	Statx_t = unix.Statx_t
	// Statfs_t is what Fstatfs fills.
	Statfs_t = unix.Statfs_t
)

// Openat2 is openat2(2).
func Openat2(dir int, path string, how *OpenHow) (int, error) { return unix.Openat2(dir, path, how) }

// Renameat2 is renameat2(2).
func Renameat2(fromDir int, from string, toDir int, to string, flags uint) error {
	return unix.Renameat2(fromDir, from, toDir, to, flags)
}

// Statx is statx(2).
func Statx(dir int, path string, flags, mask int, st *Statx_t) error {
	return unix.Statx(dir, path, flags, mask, st)
}

// Fstatfs is fstatfs(2).
func Fstatfs(fd int, st *Statfs_t) error { return unix.Fstatfs(fd, st) }

// Syncfs is syncfs(2).
func Syncfs(fd int) error { return unix.Syncfs(fd) }

// MemfdCreate is memfd_create(2).
func MemfdCreate(name string, flags int) (int, error) { return unix.MemfdCreate(name, flags) }

// Fallocate is fallocate(2).
func Fallocate(fd int, mode uint32, offset, size int64) error {
	return unix.Fallocate(fd, mode, offset, size)
}
