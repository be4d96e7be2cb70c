package watch

import "golang.org/x/sys/unix"

const (
	arch       = unix.AUDIT_ARCH_X86_64
	sysFstatat = unix.SYS_NEWFSTATAT
)

// old adds the calls that younger architectures lack.
func old(m map[uintptr]call) {
	cwd := func(h how, at int) arg { return arg{h, none, at} }
	m[unix.SYS_OPEN] = call{"open", []arg{cwd(looks|follow, 0)}, 1}
	m[unix.SYS_CREAT] = call{"creat", []arg{cwd(looks|follow, 0)}, none}
	m[unix.SYS_STAT] = call{"stat", []arg{cwd(looks|follow, 0)}, none}
	m[unix.SYS_LSTAT] = call{"lstat", []arg{cwd(looks, 0)}, none}
	m[unix.SYS_READLINK] = call{"readlink", []arg{cwd(looks, 0)}, none}
	m[unix.SYS_ACCESS] = call{"access", []arg{cwd(looks|follow, 0)}, none}
	m[unix.SYS_MKDIR] = call{"mkdir", []arg{cwd(makes, 0)}, none}
	m[unix.SYS_MKNOD] = call{"mknod", []arg{cwd(makes, 0)}, none}
	m[unix.SYS_SYMLINK] = call{"symlink", []arg{cwd(makes, 1)}, none}
	m[unix.SYS_LINK] = call{"link", []arg{cwd(looks|needs, 0), cwd(makes, 1)}, none}
	m[unix.SYS_UNLINK] = call{"unlink", []arg{cwd(alters|needs, 0)}, none}
	m[unix.SYS_RMDIR] = call{"rmdir", []arg{cwd(alters|needs, 0)}, none}
	m[unix.SYS_RENAME] = call{"rename", []arg{cwd(alters|needs, 0), cwd(alters, 1)}, none}
	m[unix.SYS_RENAMEAT] = call{"renameat", []arg{{alters | needs, 0, 1}, {alters, 2, 3}}, none}
	m[unix.SYS_CHMOD] = call{"chmod", []arg{cwd(alters|needs|follow, 0)}, none}
	m[unix.SYS_CHOWN] = call{"chown", []arg{cwd(alters|needs|follow, 0)}, none}
	m[unix.SYS_LCHOWN] = call{"lchown", []arg{cwd(alters|needs, 0)}, none}
	m[unix.SYS_UTIME] = call{"utime", []arg{cwd(alters|needs|follow, 0)}, none}
	m[unix.SYS_UTIMES] = call{"utimes", []arg{cwd(alters|needs|follow, 0)}, none}
	m[unix.SYS_FUTIMESAT] = call{"futimesat", []arg{{alters | needs | follow, 0, 1}}, none}
}
