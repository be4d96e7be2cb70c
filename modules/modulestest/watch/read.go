package watch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// read makes a Call of what the kernel tells of one. It isn't kept where it is
// about no path.
func (w *watcher) read(n *notice) (c Call, kept bool, err error) {
	k := w.table[uintptr(n.nr)]
	c.Name = k.name
	_, err = os.Lstat(fmt.Sprintf("/proc/%d/task/%d", w.pid, n.tid))
	c.Own = err == nil
	p := process{tid: n.tid}
	switch k.name {
	case "exit_group":
		c.Direct = !c.Own && w.started(n.tid)
		return c, true, nil
	case "execve", "execveat":
		c.Direct = !c.Own && w.started(n.tid)
		at := 1
		if k.name == "execveat" {
			at = 2
		}
		c.Words = append(p.list(n.args[at]), p.list(n.args[at+1])...)
	case "sethostname":
		c.Alters = []string{"/proc/sys/kernel/hostname"}
		return c, true, nil
	case "bind":
		path, err := p.socket(n.args[1], n.args[2])
		if err != nil || path == "" {
			return c, false, err
		}
		c.Alters = []string{path}
		return c, true, nil
	case "write", "writev", "pwrite64", "pwritev", "pwritev2", "sendfile", "copy_file_range", "splice", "ftruncate", "fallocate":
		if strings.HasPrefix(k.name, "write") && n.args[2] == 0 || strings.HasPrefix(k.name, "pwrite") && n.args[2] == 0 {
			return c, false, nil // of nothing
		}
		path := p.descriptor(n.args[k.args[0].dir])
		if st, err := os.Lstat(path); err != nil || !st.Mode().IsRegular() || passing(path) {
			return c, false, nil
		}
		c.Alters = []string{path}
		return c, true, nil
	case "ioctl":
		if n.args[1] != unix.FS_IOC_SETFLAGS && n.args[1] != fsSetXattr && n.args[1] != unix.FICLONE {
			return c, false, nil
		}
	}
	// A call that fails because of what stands there alters nothing.
	fails := false
	for _, a := range k.args {
		path, err := p.path(n, a)
		if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EFAULT) || errors.Is(err, os.ErrNotExist) {
			return c, false, nil // the call will fail
		}
		if err != nil {
			return c, false, err
		}
		if word, ok := strings.CutPrefix(path, markFolder); ok {
			return Call{Name: "mark", Own: c.Own, Looks: []string{word}}, true, nil
		}
		if passing(path) {
			continue
		}
		flags, linkless := p.flags(n, k)
		at, end, there := resolve(path, a.how&follow != 0 && !linkless && flags&unix.O_NOFOLLOW == 0)
		if linkless && at != filepath.Clean(path) {
			return c, false, nil // a link is on the way: the call will fail
		}
		fails = fails || a.how&needs != 0 && !there || a.how&makes != 0 && there
		opens := k.name == "creat" || k.flags >= 0 && a.how&looks != 0
		switch {
		case opens && w.opens(flags, there, &c, end):
		case a.how&(alters|makes) != 0:
			c.Alters = append(c.Alters, end)
			continue
		}
		if c.Looks = append(c.Looks, at); end != at {
			c.Looks = append(c.Looks, end)
		}
	}
	if fails {
		c.Looks, c.Alters = append(c.Looks, c.Alters...), nil
	}
	return c, len(c.Looks)+len(c.Alters) > 0, nil
}

// flags returns open(2)'s flags of a call, 0 where it has none, and whether it follows
// no link at all.
func (p process) flags(n *notice, k call) (flags uint64, linkless bool) {
	switch {
	case k.name == "creat":
		return unix.O_CREAT | unix.O_TRUNC | unix.O_WRONLY, false
	case k.flags < 0:
		return 0, false
	case k.name != "openat2":
		return n.args[k.flags], false
	}
	var how [24]byte // struct open_how
	if p.read(n.args[k.flags], how[:]) != nil {
		return 0, false
	}
	return binary.NativeEndian.Uint64(how[:8]), binary.NativeEndian.Uint64(how[16:])&unix.RESOLVE_NO_SYMLINKS != 0
}

// opens adds what an open alters by itself: it makes a file, or empties one.
func (w *watcher) opens(flags uint64, there bool, c *Call, end string) bool {
	writes := flags&unix.O_ACCMODE != unix.O_RDONLY
	switch {
	case flags&unix.O_TMPFILE == unix.O_TMPFILE:
	case flags&unix.O_CREAT != 0 && !there, flags&unix.O_TRUNC != 0 && writes && there && flags&unix.O_EXCL == 0:
		if st, err := os.Lstat(end); err != nil || st.Mode().IsRegular() {
			c.Alters = append(c.Alters, end)
		}
	}
	return true
}

const fsSetXattr = 0x401c5820 // FS_IOC_FSSETXATTR

// passing reports whether a path is no state of the host: what a process sees of
// itself, terminals and pipes.
func passing(path string) bool {
	if path == "" || path[0] != '/' || strings.HasPrefix(path, "/dev/") || strings.HasPrefix(path, "/memfd:") {
		return true
	}
	rest, ok := strings.CutPrefix(path, "/proc/")
	return ok && (strings.HasPrefix(rest, "self") || strings.HasPrefix(rest, "thread-self") || rest != "" && rest[0] >= '0' && rest[0] <= '9')
}

// resolve follows the links in a path's parents, and gives its end where its own
// is followed too.
func resolve(path string, last bool) (at, end string, there bool) {
	dir, base := filepath.Split(filepath.Clean(path))
	if full, err := filepath.EvalSymlinks(dir); err == nil {
		dir = full
	}
	at = filepath.Join(dir, base)
	end = at
	if last {
		if full, err := filepath.EvalSymlinks(at); err == nil {
			end = full
		}
	}
	_, err := os.Lstat(end)
	return at, end, err == nil
}

// process is whose memory and descriptors a call names.
type process struct{ tid uint32 }

// path returns the absolute path of an argument.
func (p process) path(n *notice, a arg) (string, error) {
	text := ""
	if a.at >= 0 {
		if n.args[a.at] == 0 { // utimensat: the descriptor itself
			return p.descriptor(n.args[max(a.dir, 0)]), nil
		}
		var err error
		if text, err = p.text(n.args[a.at], unix.PathMax); err != nil {
			return "", err
		}
	}
	if strings.HasPrefix(text, "/proc/self/fd/") || strings.HasPrefix(text, "/proc/thread-self/fd/") {
		return os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", p.tid, text[strings.LastIndexByte(text, '/')+1:]))
	}
	if strings.HasPrefix(text, "/") {
		if root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", p.tid)); err == nil && root != "/" {
			return filepath.Join(root, text), nil
		}
		return text, nil
	}
	dir := ""
	if a.dir < 0 || int32(n.args[a.dir]) == unix.AT_FDCWD {
		var err error
		if dir, err = os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.tid)); err != nil {
			return "", err
		}
	} else {
		dir = p.descriptor(n.args[a.dir])
	}
	if text == "" || dir == "" || dir[0] != '/' {
		return dir, nil
	}
	return dir + "/" + text, nil
}

// descriptor returns what a descriptor leads to: a path, or "pipe:[…]".
func (p process) descriptor(fd uint64) string {
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", p.tid, int32(fd)))
	return path
}

// text reads a string that ends with NUL, of at most limit bytes.
func (p process) text(at uint64, limit int) (string, error) {
	var all []byte
	for len(all) < limit {
		// Up to the page's end: the next may not be there.
		part := make([]byte, min(4096-at%4096, 256))
		if err := p.read(at, part); err != nil {
			return "", err
		}
		if end := bytes.IndexByte(part, 0); end >= 0 {
			return string(append(all, part[:end]...)), nil
		}
		all, at = append(all, part...), at+uint64(len(part))
	}
	return "", unix.ENAMETOOLONG
}

// list reads an array of strings, as far as it can be read.
func (p process) list(at uint64) []string {
	var words []string
	for ; at != 0 && len(words) < 10000; at += 8 {
		var pointer [8]byte
		if p.read(at, pointer[:]) != nil {
			break
		}
		to := binary.NativeEndian.Uint64(pointer[:])
		word, err := p.text(to, 128<<10)
		if to == 0 || err != nil {
			break
		}
		words = append(words, word)
	}
	return words
}

func (p process) read(at uint64, into []byte) error {
	local := []unix.Iovec{{Base: &into[0]}}
	local[0].SetLen(len(into))
	n, err := unix.ProcessVMReadv(int(p.tid), local, []unix.RemoteIovec{{Base: uintptr(at), Len: len(into)}}, 0)
	if err == nil && n != len(into) {
		err = unix.EFAULT
	}
	return err
}

// socket returns the path of a socket's address, "" where it has none.
func (p process) socket(at, size uint64) (string, error) {
	if size < 3 || size > 110 {
		return "", nil
	}
	address := make([]byte, size)
	if err := p.read(at, address); err != nil {
		return "", nil
	}
	if address[0] != unix.AF_UNIX || address[2] == 0 {
		return "", nil
	}
	path, _, _ := bytes.Cut(address[2:], []byte{0})
	if path[0] != '/' {
		return "", nil
	}
	full, _, _ := resolve(string(path), false)
	return full, nil
}
