package host

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// nameLimit and pathLimit are what Linux takes, in bytes: path_resolution(7), NAME_MAX
// and PATH_MAX.
const (
	nameLimit = 255
	pathLimit = 4095
)

// Explain returns the text of an error as people read it, of as much of it as may be
// shown: where a system call on a path was refused, what is in its way and what to do
// stand in place of the call's own words.
func Explain(err error, text string) string {
	var call *fs.PathError
	if !errors.As(err, &call) {
		return text
	}
	words := ""
	switch {
	case errors.Is(call.Err, unix.ENAMETOOLONG):
		words = tooLong(call.Path)
	case errors.Is(call.Err, unix.ELOOP):
		words = fmt.Sprintf("the links on the way to %s lead in a circle: look where each leads (namei -l %s)", call.Path, call.Path)
	case errors.Is(call.Err, fs.ErrPermission) && !IsRoot():
		words = refused(call.Path)
	}
	if words == "" {
		return text
	}
	return strings.Replace(text, call.Error(), words, 1)
}

// tooLong says what of a path is too long.
func tooLong(path string) string {
	for _, name := range strings.Split(path, "/") {
		if len(name) > nameLimit {
			return fmt.Sprintf("the name %.40s… has %d bytes, and the system takes %d: choose a shorter one", name, len(name), nameLimit)
		}
	}
	return fmt.Sprintf("the path %.80s… has %d bytes, and the system takes %d: choose a shorter one", path, len(path), pathLimit)
}

// refused says what keeps whoever acts from a path: the first directory on the way that
// they can't get into, or what stands there. It is empty where that can't be told.
func refused(path string) string {
	if !filepath.IsAbs(path) {
		return ""
	}
	var way []string
	for at := filepath.Dir(filepath.Clean(path)); ; at = filepath.Dir(at) {
		way = append([]string{at}, way...)
		if at == "/" {
			break
		}
	}
	for _, at := range way {
		if denied(access(at, unix.X_OK)) {
			return belonging(at, "get into")
		}
	}
	switch {
	case denied(access(path, unix.R_OK)):
		return belonging(path, "read")
	case denied(access(path, unix.W_OK)):
		return belonging(path, "write to")
	}
	return ""
}

// belonging says what whoever acts may not do with a thing, and whose it is.
func belonging(at, verb string) string {
	info, err := lstat(at)
	if err != nil || !info.Exists() {
		return ""
	}
	return fmt.Sprintf("permission denied: %s may not %s %s, which belongs to %s (mode %s)%s", acting(), verb, at, info.Owner, info.Mode, becoming())
}
