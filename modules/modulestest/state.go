package modulestest

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"muster/host"
)

// standing is what stands at a path: all that a task could alter of it, but times.
type standing struct {
	mode     os.FileMode
	uid, gid uint32
	content  string // of a file, or the target of a link
	attrs    string // extended attributes
	inode    uint64
	touched  string // its times
}

func (s standing) String() string {
	text := fmt.Sprintf("%s %d:%d", s.mode, s.uid, s.gid)
	switch {
	case s.mode.IsRegular():
		text += fmt.Sprintf(" %q", s.content)
	case s.mode&os.ModeSymlink != 0:
		text += " -> " + s.content
	}
	return text + s.attrs
}

// state is what stands at paths, by path.
type state map[string]standing

// standsAt returns what stands at a path, ok false where nothing does.
func standsAt(path string) (s standing, ok bool, err error) {
	info, err := os.Lstat(path)
	if os.IsNotExist(err) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	st := info.Sys().(*syscall.Stat_t)
	s = standing{mode: info.Mode(), uid: st.Uid, gid: st.Gid, inode: st.Ino}
	s.touched = fmt.Sprintf("%d.%d %d.%d", st.Mtim.Sec, st.Mtim.Nsec, st.Ctim.Sec, st.Ctim.Nsec)
	switch {
	case info.Mode().IsRegular():
		data, err := os.ReadFile(path)
		if err != nil {
			return s, false, err
		}
		s.content = string(data)
	case info.Mode()&os.ModeSymlink != 0:
		s.content, _ = os.Readlink(path)
	}
	s.attrs = attributes(path)
	return s, true, nil
}

// attributes lists a path's extended attributes, those that the kernel lets be read.
func attributes(path string) string {
	names, value := make([]byte, 4096), make([]byte, 4096)
	n, err := unix.Llistxattr(path, names)
	if err != nil {
		return ""
	}
	var list []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		if n, err := unix.Lgetxattr(path, name, value); name != "" && err == nil {
			list = append(list, fmt.Sprintf(" %s=%q", name, value[:n]))
		}
	}
	slices.Sort(list)
	return strings.Join(list, "")
}

// state returns what stands under the case's folder.
func (c *testCase) state(t testing.TB) state {
	t.Helper()
	all := state{}
	err := filepath.WalkDir(c.root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		s, there, err := standsAt(path)
		if there {
			all[path] = s
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// snapshot describes everything under the root. With times it also tells
// whether anything was touched.
func (c *testCase) snapshot(t testing.TB, times bool) string {
	t.Helper()
	return c.state(t).text(c.root, times)
}

// text lists what stands under root, a line each.
func (s state) text(root string, times bool) string {
	var lines []string
	for _, path := range slices.Sorted(maps.Keys(s)) {
		line := strings.TrimPrefix(path, root) + " " + s[path].String()
		if times {
			line += fmt.Sprintf(" %d %s", s[path].inode, s[path].touched)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// changed returns the paths at which other has something else, sorted.
func (s state) changed(other state) []string {
	var list []string
	for path, was := range s {
		if is, there := other[path]; !there || is.String() != was.String() {
			list = append(list, path)
		}
	}
	for path := range other {
		if _, there := s[path]; !there {
			list = append(list, path)
		}
	}
	slices.Sort(list)
	return list
}

// attr is a path's attributes as diffs name them.
func (s standing) attr(name string) string {
	switch name {
	case "mode":
		mode := host.Mode(s.mode.Perm())
		for _, bit := range []struct {
			is  os.FileMode
			set host.Mode
		}{{os.ModeSetuid, 0o4000}, {os.ModeSetgid, 0o2000}, {os.ModeSticky, 0o1000}} {
			if s.mode&bit.is != 0 {
				mode |= bit.set
			}
		}
		return mode.String()
	case "owner":
		return host.UserName(s.uid)
	case "group":
		return host.GroupName(s.gid)
	}
	return s.content
}

// without returns the state without extended attributes of a kind.
func (s state) without(prefix string) state {
	all := state{}
	for path, is := range s {
		var kept []string
		for attr := range strings.SplitAfterSeq(is.attrs, `" `) {
			if !strings.HasPrefix(strings.TrimSpace(attr), prefix) {
				kept = append(kept, strings.TrimSpace(attr))
			}
		}
		is.attrs = strings.Join(kept, " ")
		all[path] = is
	}
	return all
}
