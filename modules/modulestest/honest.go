package modulestest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/wire"
)

// watch does something, and returns what the process was seen to do meanwhile.
func (c *conformance) watch(do func()) seen {
	if c.watcher == nil {
		do()
		return seen{}
	}
	c.watcher.on(0)
	do()
	return c.watcher.off()
}

// holdPlanning holds what was seen while planning against what views were asked.
func (c *conformance) holdPlanning(t testing.TB, s seen, planned []wire.Planned) {
	t.Helper()
	for _, e := range s.Edits {
		if !scratch(e.Path) {
			t.Errorf("planning has altered %s (%s)", e.Path, e.Call)
		}
	}
	unasked := func(path string) bool { return !ambient(path) && !scratch(path) && !own(path) && !c.accounted(path) }
	for _, path := range s.Looks {
		if unasked(path) {
			t.Errorf("planning has looked at %s past the view: what an earlier task leaves there isn't seen", path)
		}
	}
	for _, path := range s.Reads {
		if unasked(path) && (path == c.root || c.inside(path) || mentioned(s.Words, path)) {
			t.Errorf("a program that planning ran has looked at %s, which none of its query's keys names: what an earlier task leaves there isn't seen", path)
		}
	}
}

// accounted reports whether a view was asked about what stands at a path, or below
// it: whoever asks for a file looks at its folders.
func (c *conformance) accounted(path string) bool {
	if strings.HasPrefix(filepath.Base(path), ".muster-") { // where muster made something ready
		path = filepath.Dir(path)
	}
	if c.asked[host.File(path)] || c.asked[host.Key{Space: host.All, Name: host.All}] {
		return true
	}
	for key := range c.asked {
		if keeps(key.Space, path) {
			return true
		}
		prefix, many := strings.CutSuffix(key.Name, host.All)
		if key.Space == host.Files && (strings.HasPrefix(key.Name, strings.TrimSuffix(path, "/")+"/") || many && strings.HasPrefix(path, prefix)) {
			return true
		}
	}
	return false
}

// scratch reports whether a path is of a folder that host.NewScratch makes.
func scratch(path string) bool {
	for _, parent := range []string{"/run", "/dev/shm", os.TempDir()} {
		if strings.HasPrefix(path, filepath.Join(parent, "muster-plan-")) {
			return true
		}
	}
	return false
}

// own reports whether a path is where muster keeps what it knows itself.
func own(path string) bool {
	return slices.ContainsFunc([]string{"/run/muster", "/var/lib/muster", "/var/cache/muster"}, func(dir string) bool {
		return path == dir || strings.HasPrefix(path, dir+"/")
	})
}

// mentioned reports whether one of a program's words has a path in it: what else
// programs look at outside of the case is mostly what each of them does.
func mentioned(words []string, path string) bool {
	word := regexp.MustCompile(regexp.QuoteMeta(path) + `([^\w./-]|$)`)
	return slices.ContainsFunc(words, word.MatchString)
}

// ambient reports whether a path is of what every program looks at: where programs
// and libraries lie, the kernel's own, and by whose names users and hosts go.
func ambient(path string) bool {
	if strings.HasPrefix(path, "/proc/") && !strings.HasPrefix(path, "/proc/sys/") || strings.HasPrefix(path, "/sys/") || strings.HasPrefix(path, "/lib") || strings.HasPrefix(path, "/usr/lib") || strings.HasPrefix(path, "/usr/share/zoneinfo/") ||
		filepath.Base(path) == "userdb" || strings.Contains(path, "/userdb/") || path == "/run/host" { // nss-systemd(8)
		return true
	}
	switch filepath.Dir(path) {
	case "/", "/bin", "/sbin", "/usr", "/usr/bin", "/usr/sbin", "/usr/local", "/usr/local/bin", "/usr/local/sbin":
		return true
	}
	return slices.Contains([]string{
		"/etc", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/localtime", "/etc/ld.so.cache", "/etc/ld.so.preload",
		"/etc/host.conf", "/etc/hosts", "/etc/resolv.conf",
		"/run/systemd/system", // whether systemd runs: sd_booted(3)
	}, path)
}

// places are where the files lie that stand for keys of other spaces than files.
func places() map[string][]string {
	accounts := []string{
		"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/subuid", "/etc/subgid", "/etc/.pwd.lock",
		"/etc/passwd-", "/etc/shadow-", "/etc/group-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-", "/var/mail/", "/var/spool/mail/",
	}
	return map[string][]string{
		host.Users:    accounts,
		host.Groups:   accounts,
		host.Units:    {"/etc/systemd/", "/run/systemd/", "/var/lib/systemd/", "/usr/local/lib/systemd/", "/etc/init.d/", "/etc/rc0.d/", "/etc/rc1.d/", "/etc/rc2.d/", "/etc/rc3.d/", "/etc/rc4.d/", "/etc/rc5.d/", "/etc/rc6.d/", "/etc/rcS.d/"},
		host.Kernel:   {"/proc/sys/"},
		host.Packages: {"/var/lib/dpkg/", "/var/lib/apt/", "/var/cache/apt/", "/etc/apt/", "/etc/dpkg/"},
	}
}

// stand reports whether a path is where one of the effects' keys is kept.
func stand(effects []host.Effect, path string) bool {
	return slices.ContainsFunc(effects, func(e host.Effect) bool { return keeps(e.Key.Space, path) })
}

// keeps reports whether the keys of a space are kept at a path, or below it.
func keeps(space, path string) bool {
	return slices.ContainsFunc(places()[space], func(place string) bool {
		return path == place || strings.HasSuffix(place, "/") && strings.HasPrefix(path+"/", place)
	})
}

// given reports whether an edit only gives files to the user or group by whose name
// they go already: usermod does that with a home where the number changes.
func given(effects []host.Effect, e edited) bool {
	return strings.Contains(e.Call, "chown") && slices.ContainsFunc(effects, func(e host.Effect) bool {
		return e.Key.Space == host.Users || e.Key.Space == host.Groups
	})
}

// temporary reports whether a path is that of, or in, something that is made ready
// beside the place of an effect, under the name host.Temporary.
func temporary(effects []host.Effect, path string) bool {
	return slices.ContainsFunc(effects, func(e host.Effect) bool {
		if e.Key.Space != host.Files || e.Key.Name == host.All {
			return false
		}
		dir, base := filepath.Split(e.Key.Name)
		name, inside := strings.CutPrefix(path, dir)
		name, _, _ = strings.Cut(name, "/")
		stem := strings.TrimSuffix(host.Temporary(base), ".tmp")
		return inside && (name == stem+".tmp" || name == stem+".new")
	})
}

// besides reports whether an edit is nobody's concern: in a private folder, of what
// muster itself keeps, or a log or a lock of a program's.
func (c *testCase) besides(e edited) bool {
	return scratch(e.Path) || own(e.Path) || !e.Own && (strings.HasPrefix(e.Path, "/var/log/") || strings.HasPrefix(e.Path, "/run/"))
}

// holdEdits holds what was altered outside of the case's folder against effects.
func (i *inspector) holdEdits(s seen, effects []host.Effect, fault func(string, ...any)) {
	for _, e := range s.Edits {
		if covered(effects, e.Path) || stand(effects, e.Path) || given(effects, e) || i.besides(e) {
			continue
		}
		// What lasts in the case's folder is found by comparing all of it.
		if !e.Own && !e.Lasting || e.Lasting && (e.Path == i.root || i.inside(e.Path)) {
			continue
		}
		if e.Is == "nothing" && temporary(effects, e.Path) {
			continue
		}
		fault("it has changed %s (%s), which none of its effects names", e.Path, e.Call)
	}
}
