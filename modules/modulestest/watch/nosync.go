package watch

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NoSync makes this process, and all that it starts, wait for no disk: fsync(2) and
// its relatives succeed at once. Tests kill programs, not machines: what was
// written is there in any case, and syncing is most of what they would wait for.
// It takes root, else it does nothing; and it can't be undone.
func NoSync() error {
	if unix.Geteuid() != 0 {
		return nil
	}
	f := filter([]uintptr{unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNC, unix.SYS_SYNCFS, unix.SYS_SYNC_FILE_RANGE, unix.SYS_MSYNC}, unix.SECCOMP_RET_ERRNO)
	if _, err := install(f, 0); err != nil {
		return fmt.Errorf("keeping tests from waiting for disks: %w", err)
	}
	return nil
}

// install binds every thread of this process to a filter.
func install(f []unix.SockFilter, flags int) (listener int, err error) {
	prog := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags|unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH), uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(f)
	if errno != 0 {
		return 0, errno
	}
	return int(fd), nil
}

// filter answers some calls so, and lets all others pass.
func filter(held []uintptr, so uint32) []unix.SockFilter {
	const number, architecture = 0, 4 // in struct seccomp_data
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	is := func(k uint32, yes, no int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: uint8(yes), Jf: uint8(no)}
	}
	end := func(k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k}
	}
	f := []unix.SockFilter{load(architecture), is(arch, 0, len(held)+1), load(number)}
	for i, nr := range held {
		f = append(f, is(uint32(nr), len(held)-i, 0))
	}
	return append(f, end(unix.SECCOMP_RET_ALLOW), end(so))
}
