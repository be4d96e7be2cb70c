// Package loaded finds out whether what a process has loaded is what its files hold:
// those that a task names in restart_on and reload_on.
package loaded

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"muster/host"
)

// maxFiles is how many files one name of a task may stand for.
const maxFiles = 10000

// paths are the files that a path, folder or pattern stands for.
func paths(v *host.View, name string) ([]string, error) {
	if strings.ContainsAny(filepath.Base(name), "*?[") {
		entries, err := v.ReadDir(filepath.Dir(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return nil, err
		}
		var list []string
		for _, e := range entries {
			if ok, err := filepath.Match(filepath.Base(name), e); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			} else if ok {
				list = append(list, filepath.Join(filepath.Dir(name), e))
			}
		}
		return list, nil
	}
	info, err := v.Stat(name)
	if err != nil || info.Type != host.Directory {
		return []string{name}, err
	}
	var list []string
	var walk func(dir string, depth int) error
	walk = func(dir string, depth int) error {
		entries, err := v.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			path := filepath.Join(dir, e)
			info, err := v.Lstat(path)
			if err != nil {
				return err
			}
			if info.Type == host.Directory && depth < 20 {
				if err := walk(path, depth+1); err != nil {
					return err
				}
				continue
			}
			if list = append(list, path); len(list) > maxFiles {
				return fmt.Errorf("%s holds more than %d files", name, maxFiles)
			}
		}
		return nil
	}
	return list, walk(name, 0)
}

// sumOf is the sum of all that a name stands for.
func sumOf(v *host.View, name string) (string, error) {
	files, err := paths(v, name)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, f := range files {
		info, err := v.Stat(f)
		if err != nil {
			return "", err
		}
		sum := string(info.Type)
		if info.Type == host.Regular {
			if sum, err = v.Sum(f); err != nil {
				return "", err
			}
		}
		fmt.Fprintf(hash, "%q %s\n", f, sum)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// Sums are the sums of all that each name stands for.
func Sums(v *host.View, names []string) (map[string]string, error) {
	sums := map[string]string{}
	for _, n := range names {
		sum, err := sumOf(v, n)
		if err != nil {
			return nil, err
		}
		sums[n] = sum
	}
	return sums, nil
}

// lag is how far a file's change time may lie before the moment at which it
// was changed: the kernel's coarse clock (up to 6.2 ms were measured).
const lag = 10 * time.Millisecond

// newest is when the last of the files that a name stands for was changed.
func newest(v *host.View, name string) (time.Time, error) {
	files, err := paths(v, name)
	if err != nil {
		return time.Time{}, err
	}
	if strings.ContainsAny(filepath.Base(name), "*?[") {
		files = append(files, filepath.Dir(name)) // a file may have gone
	} else if len(files) == 0 || files[0] != name {
		files = append(files, name)
	}
	var last time.Time
	for _, f := range files {
		st, err := os.Stat(f)
		if err != nil {
			continue
		}
		if t := host.StatusChanged(st); t.After(last) {
			last = t
		}
	}
	return last, nil
}

// Changed returns which of names aren't as they were loaded: by the stamp
// where it tells, else by time.
func Changed(v *host.View, names []string, loaded map[string]string, since time.Time) ([]string, error) {
	real := v.With(nil)
	var list []string
	for _, n := range names {
		sum, err := sumOf(v, n)
		if err != nil {
			return nil, err
		}
		if was, ok := loaded[n]; ok {
			if was != sum {
				list = append(list, n)
			}
			continue
		}
		now := sum
		if v.Pending() {
			if now, err = sumOf(real, n); err != nil {
				return nil, err
			}
		}
		if now != sum { // an earlier task will change it
			list = append(list, n)
			continue
		}
		if since.IsZero() {
			continue
		}
		last, err := newest(real, n)
		if err != nil {
			return nil, err
		}
		if last.Add(lag).After(since) {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list, nil
}

// Load returns the sums of what a start or reload will load.
func Load(names []string) (map[string]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	return Sums(host.NewView(host.New(), nil), names)
}

// Merged are the sums of both, those of b where both have one.
func Merged(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, b)
	return out
}
