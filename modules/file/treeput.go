package file

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"muster/host"
)

// tree is an open directory that is being edited.
type tree struct {
	root *os.Root
	dir  *os.File // the directory that was used last
	name string   // its relative path
	ids  map[string]int
}

func (t *tree) close() {
	if t.dir != nil {
		_ = t.dir.Close()
	}
	_ = t.root.Close()
}

// at returns the open directory of rel, and rel's name in it.
func (t *tree) at(rel string) (int, string, error) {
	name := filepath.Dir(rel)
	if t.dir == nil || t.name != name {
		d, err := t.root.Open(name)
		if err != nil {
			return -1, "", err
		}
		if t.dir != nil {
			_ = t.dir.Close()
		}
		t.dir, t.name = d, name
	}
	return int(t.dir.Fd()), filepath.Base(rel), nil
}

func statAt(dir int, base string) (host.FileType, unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return host.NoFile, st, nil
	}
	if err != nil {
		return host.NoFile, st, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return host.Regular, st, nil
	case unix.S_IFDIR:
		return host.Directory, st, nil
	case unix.S_IFLNK:
		return host.Symlink, st, nil
	case unix.S_IFSOCK:
		return host.Socket, st, nil
	case unix.S_IFIFO:
		return host.Pipe, st, nil
	}
	return host.Device, st, nil
}

// put makes one thing what it is to be.
func (t *tree) put(item TreeItem, body func() (io.ReadCloser, error), step func(string) error) error {
	dir, base, err := t.at(item.Path)
	if err != nil {
		return err
	}
	now, _, err := statAt(dir, base)
	if err != nil {
		return err
	}
	if now != item.Before.Type && now != item.After.Type {
		return host.ErrMoved
	}
	rewrite := item.Before.Type != item.After.Type || now == host.NoFile
	switch item.After.Type {
	case host.Directory:
		if rewrite && now != host.Directory {
			return t.replace(dir, base, item, now, nil, step)
		}
		err = t.setAttr(dir, base, item)
	case host.Symlink:
		if rewrite || item.Before.Target != item.After.Target {
			return t.replace(dir, base, item, now, nil, step)
		}
		err = t.setAttr(dir, base, item)
	default:
		if rewrite || item.Before.Sum != item.After.Sum {
			r, err := body()
			if err != nil {
				return err
			}
			defer r.Close()
			return t.replace(dir, base, item, now, r, step)
		}
		err = t.setAttr(dir, base, item)
	}
	if err != nil {
		return err
	}
	return step("set " + item.Path)
}

// replace makes a directory, a link, or a file that holds body, beside its
// place and renames it.
func (t *tree) replace(dir int, base string, item TreeItem, now host.FileType, body io.Reader, step func(string) error) error {
	tmp := temporaryName(base)
	if err := clear(dir, tmp); err != nil {
		return err
	}
	var err error
	switch {
	case item.After.Type == host.Directory:
		if err = unix.Mkdirat(dir, tmp, 0o700); err == nil {
			err = t.setAttr(dir, tmp, item)
		}
		if err == nil && now != host.NoFile { // a directory doesn't replace a file by rename(2)
			err = unix.Unlinkat(dir, base, 0)
		}
	case item.After.Type == host.Symlink:
		if err = unix.Symlinkat(item.After.Target, dir, tmp); err == nil {
			err = t.setAttr(dir, tmp, item)
		}
	default:
		err = t.write(dir, base, tmp, item, now, body)
	}
	if err == nil {
		err = step("beside its place: " + item.Path)
	}
	if err == nil && now == host.Directory {
		err = t.root.RemoveAll(item.Path)
	}
	if err == nil {
		err = unix.Renameat(dir, tmp, dir, base)
	}
	if err != nil {
		_ = clear(dir, tmp)
		return err
	}
	return step("renamed " + item.Path)
}

// temporaryName is always the same for a name, so that what a killed run left
// is found. It fits into NAME_MAX (255 bytes) whenever the name does.
func temporaryName(base string) string {
	if len(base) > 240 {
		sum := sha256.Sum256([]byte(base))
		base = hex.EncodeToString(sum[:])
	}
	return ".muster-" + base + ".tmp"
}

// clear removes what a killed run left at a temporary name.
func clear(dir int, tmp string) error {
	left, st, err := statAt(dir, tmp)
	if err != nil || left == host.NoFile {
		return err
	}
	flags := 0
	if left == host.Directory {
		flags = unix.AT_REMOVEDIR // only an empty one is ours
	}
	if left == host.Device || left == host.Socket || left == host.Pipe || int(st.Uid) != os.Geteuid() && !host.IsRoot() {
		err = unix.EEXIST
	} else {
		err = unix.Unlinkat(dir, tmp, flags)
	}
	if err != nil {
		return fmt.Errorf("%s is in the way, which muster hasn't made; look at it and remove it: %w", tmp, err)
	}
	return nil
}

// write makes the temporary file, complete with owner, attributes and mode.
func (t *tree) write(dir int, base, tmp string, item TreeItem, now host.FileType, body io.Reader) error {
	fd, err := unix.Openat(dir, tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), tmp)
	defer f.Close()
	if _, err := io.Copy(f, body); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	uid, gid, err := t.owner(item.After, st)
	if err != nil {
		return err
	}
	if uid >= 0 || gid >= 0 {
		if err := unix.Fchown(fd, uid, gid); err != nil {
			return fmt.Errorf("changing the owner to %s:%s: %w", item.After.Owner, item.After.Group, err)
		}
	}
	if now == host.Regular {
		if err := keepAttributes(dir, base, fd); err != nil {
			return err
		}
	}
	return unix.Fchmod(fd, uint32(item.After.Mode))
}

// keepAttributes carries extended attributes over from the file that is
// replaced, access control lists and security labels among them. Those that
// the kernel won't let us set are left.
func keepAttributes(dir int, base string, to int) error {
	old, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(old)
	list := make([]byte, 64<<10)
	n, err := unix.Flistxattr(old, list)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading its attributes: %w", err)
	}
	value := make([]byte, 64<<10)
	for _, name := range strings.Split(string(list[:n]), "\x00") {
		if name == "" || name == "security.capability" { // a capability belongs to the old content
			continue
		}
		n, err := unix.Fgetxattr(old, name, value)
		if err != nil {
			continue
		}
		if err := unix.Fsetxattr(to, name, value[:n], 0); err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("keeping the attribute %s: %w", name, err)
		}
	}
	return nil
}

// setAttr gives a thing its owner and mode, without following a link.
func (t *tree) setAttr(dir int, base string, item TreeItem) error {
	fd, err := unix.Openat(dir, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if now, _, err := statAt(dir, base); err != nil || now != item.After.Type {
		return errors.Join(err, host.ErrMoved)
	}
	uid, gid, err := t.owner(item.After, st)
	if err != nil {
		return err
	}
	if uid >= 0 || gid >= 0 {
		if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
			return fmt.Errorf("changing the owner to %s:%s: %w", item.After.Owner, item.After.Group, err)
		}
		st.Mode |= unix.S_ISUID // it may have been cleared: set the mode anew
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK || host.Mode(st.Mode&0o7777) == item.After.Mode {
		return nil
	}
	if err := unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), uint32(item.After.Mode)); err != nil {
		return fmt.Errorf("changing the mode to %s: %w", item.After.Mode, err)
	}
	return nil
}

// owner returns the numbers to change a thing's owner and group to, -1 where
// they are right.
func (t *tree) owner(after host.FileInfo, now unix.Stat_t) (uid, gid int, err error) {
	if uid, err = t.id("u", after.Owner, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	}); err != nil {
		return -1, -1, err
	}
	if gid, err = t.id("g", after.Group, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	}); err != nil {
		return -1, -1, err
	}
	if uid == int(now.Uid) {
		uid = -1
	}
	if gid == int(now.Gid) {
		gid = -1
	}
	return uid, gid, nil
}

func (t *tree) id(space, name string, lookup func(string) (string, error)) (int, error) {
	if n, ok := t.ids[space+name]; ok {
		return n, nil
	}
	s := name
	if !number(name) {
		var err error
		if s, err = lookup(name); err != nil {
			return -1, err
		}
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1, err
	}
	t.ids[space+name] = n
	return n, nil
}

// A copy asks for the bodies of its next files while it writes the one before,
// so that its length isn't a round trip for each.
const (
	aheadFiles = 32
	aheadSize  = 256 << 10 // bytes; larger files are streamed when their turn comes
)

type fetcher struct {
	ctx    context.Context
	cancel context.CancelFunc
	bodies *host.Bodies
	want   []host.Content // by item; a zero Sum: nothing
	ready  []chan fetched
	next   int
	wait   sync.WaitGroup
}

type fetched struct {
	data []byte
	err  error
}

func fetchAhead(ctx context.Context, bodies *host.Bodies, items []TreeItem, sensitive bool) *fetcher {
	ctx, cancel := context.WithCancel(ctx)
	f := &fetcher{ctx: ctx, cancel: cancel, bodies: bodies, want: make([]host.Content, len(items)), ready: make([]chan fetched, len(items))}
	for i, item := range items {
		if item.After.Type == host.Regular && (item.Before.Type != host.Regular || item.Before.Sum != item.After.Sum) {
			f.want[i] = host.Content{Sum: item.After.Sum, Size: item.After.Size, Sensitive: sensitive}
		}
	}
	return f
}

// open returns the body of the n-th item; n only grows.
func (f *fetcher) open(n int) (io.ReadCloser, error) {
	for f.next = max(f.next, n); f.next < len(f.want) && f.next < n+aheadFiles; f.next++ {
		c := f.want[f.next]
		if c.Sum == "" || c.Size > aheadSize {
			continue
		}
		ch := make(chan fetched, 1)
		f.ready[f.next] = ch
		f.wait.Go(func() {
			data, err := f.read(c)
			ch <- fetched{data, err}
		})
	}
	if f.ready[n] == nil {
		return f.bodies.Open(f.ctx, f.want[n])
	}
	got := <-f.ready[n]
	return io.NopCloser(bytes.NewReader(got.data)), got.err
}

func (f *fetcher) read(c host.Content) ([]byte, error) {
	r, err := f.bodies.Open(f.ctx, c)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// close ends what is still being fetched.
func (f *fetcher) close() {
	f.cancel()
	f.wait.Wait()
}
