//go:build !linux

package system

import "syscall"

// setHostname fails: hosts run Linux.
func setHostname(string) error { return syscall.ENOSYS }
