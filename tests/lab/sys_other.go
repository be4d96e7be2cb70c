//go:build !linux

package lab

import (
	"context"
	"net"
	"os"
)

func mountOverlay(lower, upper, work, target string) error { return errNotLinux }
func unmount(target string) error                          { return errNotLinux }
func detach(target string) error                           { return errNotLinux }
func lockFile(*os.File, lockKind, bool) (bool, error)      { return false, errNotLinux }
func inNamespace(path string, f func() error) error        { return errNotLinux }
func listenIn(path, address string) (net.Listener, error)  { return nil, errNotLinux }
func hasDevice(path string) bool                           { return false }
func dialIn(ctx context.Context, path, address string) (net.Conn, error) {
	return nil, errNotLinux
}
func owner(st os.FileInfo) (uid, gid int, err error)  { return 0, 0, errNotLinux }
func fileID(string) (device, inode uint64, err error) { return 0, 0, errNotLinux }
func inode(path string) (uint64, error)               { return 0, errNotLinux }
