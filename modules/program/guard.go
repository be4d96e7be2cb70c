package program

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"muster/host"
)

func (r *RunCommand) guarded() bool { return r.Creates != "" || r.Removes != "" || r.NewerThan != nil }

func (r *RunCommand) target() string {
	if r.NewerThan == nil {
		return ""
	}
	return r.NewerThan.Target
}

// due reports whether the guards let the program run: all that are given have
// to. Without one it always is.
func (r *RunCommand) due(v *host.View) (bool, error) {
	if r.Creates != "" {
		if found, err := exists(v, r.Creates); err != nil || found {
			return false, err
		}
	}
	if r.Removes != "" {
		if found, err := exists(v, r.Removes); err != nil || !found {
			return false, err
		}
	}
	if r.NewerThan != nil {
		return r.outdated(v)
	}
	return true, nil
}

// outdated reports whether the target is missing, or older than a source. A
// pending source is newer: it will be written.
func (r *RunCommand) outdated(v *host.View) (bool, error) {
	target, err := v.Follow(r.NewerThan.Target)
	if err != nil {
		return false, err
	}
	info, err := v.Lstat(target)
	if err != nil {
		return false, err
	}
	if !info.Exists() {
		return true, nil
	}
	made, err := modified(v, target)
	if err != nil {
		return false, err
	}
	for _, pattern := range r.NewerThan.Source {
		sources, err := glob(v, pattern)
		if err != nil {
			return false, err
		}
		if len(sources) == 0 {
			return false, errors.New(pattern + " doesn't exist: newer_than needs its source")
		}
		for _, s := range sources {
			if s, err = v.Follow(s); err != nil {
				return false, err
			}
			at, err := modified(v, s)
			if err != nil {
				return false, err
			}
			if at.After(made) {
				return true, nil
			}
		}
	}
	return false, nil
}

// pendingTime is later than that of any file that stands.
var pendingTime = time.Unix(1<<40, 0)

// modified returns when what stands at a resolved path was last modified.
func modified(v *host.View, path string) (time.Time, error) {
	if _, laid, _, err := v.Look(host.File(path)); err != nil || laid {
		return pendingTime, err
	}
	st, err := os.Stat(path)
	if err != nil {
		return time.Time{}, err
	}
	return st.ModTime(), nil
}

// exists reports whether a pattern names anything, a link that leads nowhere
// included.
func exists(v *host.View, pattern string) (bool, error) {
	list, err := glob(v, pattern)
	return len(list) > 0, err
}

func isGlob(pattern string) bool { return strings.ContainsAny(pattern, `*?[\`) }

func globMatch(pattern, name string) (bool, error) { return filepath.Match(pattern, name) }

// glob returns the paths that match pattern, through the preview. Without
// special characters it is the path itself, if it exists. As in a shell, a
// leading dot has to be matched by one.
func glob(v *host.View, pattern string) ([]string, error) {
	found := []string{"/"}
	for _, part := range strings.Split(filepath.Clean(pattern)[1:], "/") {
		if part == "" {
			continue
		}
		var next []string
		for _, dir := range found {
			if !isGlob(part) {
				info, err := v.Lstat(filepath.Join(dir, part))
				if err != nil {
					return nil, err
				}
				if info.Exists() {
					next = append(next, filepath.Join(dir, part))
				}
				continue
			}
			names, err := v.ReadDir(dir)
			if err != nil {
				continue // no directory, or one we can't look into: nothing in it
			}
			for _, name := range names {
				if strings.HasPrefix(name, ".") && !strings.HasPrefix(part, ".") {
					continue
				}
				if ok, _ := globMatch(part, name); ok {
					next = append(next, filepath.Join(dir, name))
				}
			}
		}
		found = next
	}
	return found, nil
}
