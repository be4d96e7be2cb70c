package watch

import "golang.org/x/sys/unix"

const (
	arch       = unix.AUDIT_ARCH_AARCH64
	sysFstatat = unix.SYS_FSTATAT
)

// old adds the one call that this architecture has besides.
func old(m map[uintptr]call) {
	m[unix.SYS_RENAMEAT] = call{"renameat", []arg{{alters | needs, 0, 1}, {alters, 2, 3}}, none}
}
