//go:build !linux

package linux

import "golang.org/x/sys/unix"

// The values are Linux's; nothing here uses them.
const (
	STATX_ATTR_IMMUTABLE  = 0x10
	STATX_ATTR_APPEND     = 0x20
	STATX_ATTR_MOUNT_ROOT = 0x2000
	STATX_TYPE            = 0x1
	O_PATH                = 0x200000
	AT_EMPTY_PATH         = 0x1000
	AT_NO_AUTOMOUNT       = 0x800
	RENAME_NOREPLACE      = 0x1
	RENAME_EXCHANGE       = 0x2
	RESOLVE_NO_SYMLINKS   = 0x4
	RESOLVE_NO_XDEV       = 0x1
	TRACEFS_MAGIC         = 0x74726163
	SYSFS_MAGIC           = 0x62656572
	ST_RDONLY             = 0x1
	SELINUX_MAGIC         = 0xf97cff8c
	SECURITYFS_MAGIC      = 0x73636673
	PROC_SUPER_MAGIC      = 0x9fa0
	MFD_CLOEXEC           = 0x1
	FALLOC_FL_KEEP_SIZE   = 0x1
	DEVPTS_SUPER_MAGIC    = 0x1cd1
	DEBUGFS_MAGIC         = 0x64626720
	CGROUP_SUPER_MAGIC    = 0x27e0eb
	CGROUP2_SUPER_MAGIC   = 0x63677270
	BTRFS_SUPER_MAGIC     = 0x9123683e
	BINFMTFS_MAGIC        = 0x42494e4d
)

// OpenHow is what Openat2 takes.
type OpenHow struct{ Flags, Mode, Resolve uint64 }

// Statx_t is what Statx fills.
type Statx_t struct {
	Attributes, Attributes_mask uint64
	Mode                        uint16
}

// Statfs_t is what Fstatfs fills.
type Statfs_t struct{ Type, Namelen, Flags int64 }

// Openat2 fails.
func Openat2(int, string, *OpenHow) (int, error) { return -1, unix.ENOSYS }

// Renameat2 fails.
func Renameat2(int, string, int, string, uint) error { return unix.ENOSYS }

// Statx fails.
func Statx(int, string, int, int, *Statx_t) error { return unix.ENOSYS }

// Fstatfs fails.
func Fstatfs(int, *Statfs_t) error { return unix.ENOSYS }

// Syncfs fails.
func Syncfs(int) error { return unix.ENOSYS }

// MemfdCreate fails.
func MemfdCreate(string, int) (int, error) { return -1, unix.ENOSYS }

// Fallocate fails.
func Fallocate(int, uint32, int64, int64) error { return unix.ENOSYS }
