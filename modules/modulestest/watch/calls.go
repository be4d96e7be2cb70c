package watch

import "golang.org/x/sys/unix"

// how says what a system call does to a path that it names.
type how int

const (
	looks  how = 1 << iota // reads what stands there, or asks about it
	alters                 // changes what stands there
	makes                  // puts something where nothing stands: else it fails
	needs                  // fails where nothing stands
	follow                 // acts on the end of a link
)

// arg is a path among a call's arguments.
type arg struct {
	how how
	dir int // the argument with the directory that a relative path counts from, -1: the working directory
	at  int // the argument with the path, -1: none, dir is a descriptor of what is meant
}

// call is a system call that is held.
type call struct {
	name string
	args []arg
	// flags is the argument that has open(2)'s flags, or a flag that says whether
	// a link is followed; -1 where there is none.
	flags int
}

const none = -1

// calls are the system calls by which files are looked at and altered, by number.
func calls() map[uintptr]call {
	cwd := func(h how, at int) arg { return arg{h, none, at} }
	rel := func(h how, dir, at int) arg { return arg{h, dir, at} }
	fd := func(h how, at int) arg { return arg{h, at, none} }
	m := map[uintptr]call{
		unix.SYS_OPENAT:            {"openat", []arg{rel(looks|follow, 0, 1)}, 2},
		unix.SYS_OPENAT2:           {"openat2", []arg{rel(looks|follow, 0, 1)}, 2},
		unix.SYS_STATX:             {"statx", []arg{rel(looks, 0, 1)}, none},
		sysFstatat:                 {"newfstatat", []arg{rel(looks, 0, 1)}, none},
		unix.SYS_READLINKAT:        {"readlinkat", []arg{rel(looks, 0, 1)}, none},
		unix.SYS_FACCESSAT:         {"faccessat", []arg{rel(looks|follow, 0, 1)}, none},
		unix.SYS_FACCESSAT2:        {"faccessat2", []arg{rel(looks|follow, 0, 1)}, none},
		unix.SYS_GETXATTR:          {"getxattr", []arg{cwd(looks|follow, 0)}, none},
		unix.SYS_LGETXATTR:         {"lgetxattr", []arg{cwd(looks, 0)}, none},
		unix.SYS_LISTXATTR:         {"listxattr", []arg{cwd(looks|follow, 0)}, none},
		unix.SYS_LLISTXATTR:        {"llistxattr", []arg{cwd(looks, 0)}, none},
		unix.SYS_INOTIFY_ADD_WATCH: {"inotify_add_watch", []arg{cwd(looks|follow, 1)}, none},
		unix.SYS_EXECVE:            {"execve", []arg{cwd(looks|follow, 0)}, none},
		unix.SYS_EXECVEAT:          {"execveat", []arg{rel(looks|follow, 0, 1)}, none},
		unix.SYS_EXIT_GROUP:        {"exit_group", nil, none},

		unix.SYS_MKDIRAT:         {"mkdirat", []arg{rel(makes, 0, 1)}, none},
		unix.SYS_MKNODAT:         {"mknodat", []arg{rel(makes, 0, 1)}, none},
		unix.SYS_SYMLINKAT:       {"symlinkat", []arg{rel(makes, 1, 2)}, none},
		unix.SYS_LINKAT:          {"linkat", []arg{rel(looks|needs, 0, 1), rel(makes, 2, 3)}, none},
		unix.SYS_UNLINKAT:        {"unlinkat", []arg{rel(alters|needs, 0, 1)}, none},
		unix.SYS_RENAMEAT2:       {"renameat2", []arg{rel(alters|needs, 0, 1), rel(alters, 2, 3)}, none},
		unix.SYS_FCHMODAT:        {"fchmodat", []arg{rel(alters|needs|follow, 0, 1)}, none},
		unix.SYS_FCHMODAT2:       {"fchmodat2", []arg{rel(alters|needs, 0, 1)}, none},
		unix.SYS_FCHOWNAT:        {"fchownat", []arg{rel(alters|needs, 0, 1)}, none},
		unix.SYS_UTIMENSAT:       {"utimensat", []arg{rel(alters|needs, 0, 1)}, none},
		unix.SYS_TRUNCATE:        {"truncate", []arg{cwd(alters|needs|follow, 0)}, none},
		unix.SYS_SETXATTR:        {"setxattr", []arg{cwd(alters|needs|follow, 0)}, none},
		unix.SYS_LSETXATTR:       {"lsetxattr", []arg{cwd(alters|needs, 0)}, none},
		unix.SYS_REMOVEXATTR:     {"removexattr", []arg{cwd(alters|needs|follow, 0)}, none},
		unix.SYS_LREMOVEXATTR:    {"lremovexattr", []arg{cwd(alters|needs, 0)}, none},
		unix.SYS_MOUNT:           {"mount", []arg{cwd(alters|needs|follow, 1)}, none},
		unix.SYS_UMOUNT2:         {"umount2", []arg{cwd(alters|needs, 0)}, none},
		unix.SYS_BIND:            {"bind", nil, none},
		unix.SYS_SETHOSTNAME:     {"sethostname", nil, none},
		unix.SYS_FTRUNCATE:       {"ftruncate", []arg{fd(alters, 0)}, none},
		unix.SYS_FALLOCATE:       {"fallocate", []arg{fd(alters, 0)}, none},
		unix.SYS_FCHMOD:          {"fchmod", []arg{fd(alters, 0)}, none},
		unix.SYS_FCHOWN:          {"fchown", []arg{fd(alters, 0)}, none},
		unix.SYS_FSETXATTR:       {"fsetxattr", []arg{fd(alters, 0)}, none},
		unix.SYS_FREMOVEXATTR:    {"fremovexattr", []arg{fd(alters, 0)}, none},
		unix.SYS_WRITE:           {"write", []arg{fd(alters, 0)}, none},
		unix.SYS_WRITEV:          {"writev", []arg{fd(alters, 0)}, none},
		unix.SYS_PWRITE64:        {"pwrite64", []arg{fd(alters, 0)}, none},
		unix.SYS_PWRITEV:         {"pwritev", []arg{fd(alters, 0)}, none},
		unix.SYS_PWRITEV2:        {"pwritev2", []arg{fd(alters, 0)}, none},
		unix.SYS_SENDFILE:        {"sendfile", []arg{fd(alters, 0)}, none},
		unix.SYS_COPY_FILE_RANGE: {"copy_file_range", []arg{fd(alters, 2)}, none},
		unix.SYS_SPLICE:          {"splice", []arg{fd(alters, 2)}, none},
		unix.SYS_IOCTL:           {"ioctl", []arg{fd(alters, 0)}, none},
	}
	old(m)
	return m
}
