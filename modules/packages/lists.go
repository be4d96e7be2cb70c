package packages

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"muster/host"
)

// Where apt keeps what repositories offer, and where it is told of them.
const (
	listsDir = "/var/lib/apt/lists"
	stamp    = "/run/muster/stamps/apt-lists"
	// unfetched is there while they are fetched, and after a time when that failed: apt
	// touches the lists then, too.
	unfetched = "/run/muster/stamps/apt-lists-unfetched"
)

func sourceDirs() []string {
	return []string{"/etc/apt/sources.list.d", "/etc/apt/preferences.d", "/etc/apt/trusted.gpg.d", "/etc/apt/keyrings", "/etc/apt/apt.conf.d", "/etc/apt/auth.conf.d", "/usr/share/keyrings"}
}

func sourceFiles() []string {
	return []string{"/etc/apt/sources.list", "/etc/apt/preferences", "/etc/apt/trusted.gpg", "/etc/apt/apt.conf", "/etc/apt/auth.conf"}
}

// sourcesPending reports whether an earlier task will change what apt is told.
func sourcesPending(v *host.View) (bool, error) {
	if !v.Pending() {
		return false, nil
	}
	paths := sourceFiles()
	for _, dir := range sourceDirs() {
		names, err := v.ReadDir(dir)
		if err != nil {
			if errors.Is(err, host.ErrNotYet) {
				return true, nil
			}
			return false, err
		}
		for _, n := range names {
			paths = append(paths, filepath.Join(dir, n))
		}
		real, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		for _, e := range real { // what will be removed isn't in names
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	for _, p := range paths {
		_, laid, _, err := v.Look(host.File(p))
		if laid || errors.Is(err, host.ErrNotYet) {
			return true, nil
		}
	}
	return false, nil
}

// listsState is how up to date the lists are.
type listsState struct {
	missing bool      // there are none, and none were asked for since the sources changed
	since   time.Time // when they were last fetched; zero: never
	stale   bool      // the sources changed since, or they were to be fetched in vain
}

func readLists(v *host.View) (listsState, error) {
	return host.Once(v, "apt lists", func() (listsState, error) {
		var s listsState
		for _, p := range []string{listsDir, stamp, "/var/lib/apt/periodic/update-success-stamp"} {
			if t := changedAt(p); t.After(s.since) {
				s.since = t
			}
		}
		var sources time.Time
		for _, p := range sourceFiles()[:1] {
			if t := changedAt(p); t.After(sources) {
				sources = t
			}
		}
		entries, err := os.ReadDir(sourceDirs()[0])
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
		if t := changedAt(sourceDirs()[0]); err == nil && t.After(sources) {
			sources = t
		}
		for _, e := range entries {
			if t := changedAt(filepath.Join(sourceDirs()[0], e.Name())); t.After(sources) {
				sources = t
			}
		}
		s.stale = sources.After(s.since) || !changedAt(unfetched).IsZero()
		lists, err := os.ReadDir(listsDir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
		found := false
		for _, e := range lists {
			found = found || !e.IsDir() && strings.Contains(e.Name(), "_") // of a "file:" repository it is a link
		}
		// A refresh that brought nothing (no repository) isn't tried for ever.
		s.missing = !found && changedAt(stamp).Before(sources.Add(time.Nanosecond))
		return s, nil
	})
}

// changedAt is when a file was last changed by anyone: its ctime, since dpkg
// and copying set old mtimes. A file that isn't there was never changed.
func changedAt(path string) time.Time {
	st, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return host.StatusChanged(st)
}

// touchStamp notes that the lists are as of this moment.
func touchStamp() error { return touch(stamp) }

func touch(path string) error {
	d, err := host.MakeDirs(filepath.Dir(path), 0o700)
	if err != nil {
		return err
	}
	d.Close()
	return host.Put(path, nil, 0o600)
}
