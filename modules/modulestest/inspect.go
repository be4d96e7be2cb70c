package modulestest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/remote"
)

// inspector holds each change that is made to what it says of itself: its effects,
// its description, and what takes it back.
type inspector struct {
	*conformance
	t testing.TB
	// disturb, if not nil, is called right before a change is made.
	disturb func(n int, c host.Change)
	// ended, if not nil, is told how it ended.
	ended func(n int, err error)

	seeing bool // what each change was seen to do is looked at

	task  int   // the number of the task that is made
	start state // before it
	made  []made
}

// made is a change that was made.
type made struct {
	task   int
	change host.Change
	before state
	undo   *host.Undo
}

// inspect returns an inspector of what a session makes.
func (c *conformance) inspect(t testing.TB, s *remote.Session) *inspector {
	i := &inspector{conformance: c, t: t, seeing: true}
	s.Making = i.making
	return i
}

// making is called right before a change is made.
func (i *inspector) making(c host.Change, atomic bool) func(*host.Undo, error) {
	n := len(i.made)
	if n > 0 && i.task != i.made[n-1].task {
		i.start = nil
	}
	if i.disturb != nil {
		asRoot(i.t, func() { i.disturb(n, c) })
	}
	var before state
	asRoot(i.t, func() { before = i.state(i.t) })
	if i.start == nil {
		i.start = before
	}
	i.made = append(i.made, made{task: i.task, change: c, before: before})
	if i.watcher != nil && i.seeing {
		i.watcher.on(0)
	}
	return func(told *host.Undo, err error) {
		i.made[n].undo = told
		var s seen
		if i.watcher != nil && i.seeing {
			s = i.watcher.off()
		}
		if i.ended != nil {
			asRoot(i.t, func() { i.ended(n, err) })
		}
		if err != nil || i.disturb != nil {
			return
		}
		asRoot(i.t, func() { i.hold(i.made[n], i.state(i.t), s, atomic) })
	}
}

// hold compares a change with what it has done.
func (i *inspector) hold(m made, after state, s seen, atomic bool) {
	changed := m.before.changed(after)
	effects := m.change.Effects()
	fault := func(format string, args ...any) {
		i.t.Helper()
		i.t.Errorf("%s %s: "+format, append([]any{m.change.Type(), m.change.Describe().Target}, args...)...)
	}
	exact := false
	for _, path := range changed {
		if !covered(effects, path) && !m.before.linked(after, effects, path) {
			fault("it has changed %s, which none of its effects names", path)
		}
		exact = exact || slices.ContainsFunc(effects, func(e host.Effect) bool { return e.Key == host.File(path) })
	}
	i.holdEdits(s, effects, fault)
	for n, e := range effects {
		later := slices.ContainsFunc(effects[n+1:], func(o host.Effect) bool { return o.Key == e.Key })
		if !later && !e.Prefix {
			i.holdEffect(e, fault)
		}
	}
	switch {
	case len(changed) == 0:
	case atomic && (m.undo == nil || len(m.undo.Changes) == 0):
		fault("its plan is atomic, but it tells Begin nothing that takes back what it has changed: %s", strings.Join(changed, ", "))
	case m.undo == nil && exact && !slices.ContainsFunc(effects, func(e host.Effect) bool { return e.Key.Space == host.All }):
		fault("it has changed %s without a call of Begin; where nothing takes that back, say so with an empty Undo", strings.Join(changed, ", "))
	}
	i.holdDescription(m, changed, after, fault)
}

// covered reports whether effects tell of a change at a path: they name it, or
// leave open what is there.
func covered(effects []host.Effect, path string) bool {
	return slices.ContainsFunc(effects, func(e host.Effect) bool {
		below := strings.HasPrefix(path, strings.TrimSuffix(e.Key.Name, "/")+"/")
		switch {
		case e.Key.Space == host.All:
			return true
		case e.Key.Space != host.Files:
			return false
		case e.Prefix:
			return strings.HasPrefix(path, e.Key.Name)
		case e.Key.Name == host.All, e.Key.Name == path:
			return true
		}
		return below && (e.State != host.Present || leaf(e))
	})
}

// linked reports whether what stands at a path is, and was, a file that effects name
// by another of its names.
func (s state) linked(after state, effects []host.Effect, path string) bool {
	return s[path].inode != 0 && slices.ContainsFunc(effects, func(e host.Effect) bool {
		at := e.Key.Name
		return e.Key.Space == host.Files && s[at].inode == s[path].inode && after[at].inode == s[path].inode && after[path].inode == s[path].inode
	})
}

// leaf reports whether an effect leaves something that nothing can stand in.
func leaf(e host.Effect) bool {
	var info host.FileInfo
	return host.Unmarshal(e.Value, &info) == nil && info.Exists() && info.Type != host.Directory
}

// holdEffect compares an effect on one file with what stands there.
func (i *inspector) holdEffect(e host.Effect, fault func(string, ...any)) {
	if e.Key.Space != host.Files || e.Key.Name == host.All || e.State != host.Present && e.State != host.Absent {
		return
	}
	v := host.NewView(host.New(), nil)
	path := e.Key.Name
	is, err := v.Lstat(path)
	if err != nil {
		fault("its effect on %s can't be held against the host: %v", path, err)
		return
	}
	if e.State == host.Absent {
		if is.Exists() {
			fault("its effect says that nothing is left at %s, where a %s is", path, is.Type)
		}
		return
	}
	var want host.FileInfo
	if err := host.Unmarshal(e.Value, &want); err != nil {
		fault("its effect on %s isn't what a file is: %v", path, err)
		return
	}
	if want.Sum != "" && is.Type == host.Regular {
		if is.Sum, err = v.Sum(path); err != nil {
			fault("its effect on %s can't be held against the host: %v", path, err)
		}
	}
	for _, p := range []struct{ what, want, is string }{
		{"type", string(want.Type), string(is.Type)}, {"owner", want.Owner, is.Owner}, {"group", want.Group, is.Group},
		{"target", want.Target, is.Target}, {"content", want.Sum, is.Sum},
	} {
		if p.want != "" && p.want != p.is {
			fault("its effect says that %s has the %s %s, but it has %q", path, p.what, p.want, p.is)
		}
	}
	if is.Type != host.Symlink && want.Mode != is.Mode {
		fault("its effect says that %s has the mode %s, but it has %s", path, want.Mode, is.Mode)
	}
	if want.Sum != "" && want.Size != is.Size {
		fault("its effect says that %s has %d bytes, but it has %d", path, want.Size, is.Size)
	}
}

// holdDescription compares what a change shows with what it has done.
func (i *inspector) holdDescription(m made, changed []string, after state, fault func(string, ...any)) {
	d := m.change.Describe()
	for _, secret := range hiddenLines(i.text("hidden")) {
		if form := shows(d.Target+"\n"+d.Diff+"\n"+d.Impact, secret); form != "" {
			fault("its description holds the secret %q%s", secret, form)
		}
	}
	within := d.Target == i.root || strings.HasPrefix(d.Target, i.root+"/")
	if !within || d.Action != host.Create && d.Action != host.Update && d.Action != host.Delete {
		return
	}
	_, first := i.start[d.Target]
	was, before := m.before[d.Target]
	is, stands := after[d.Target]
	switch {
	case !slices.ContainsFunc(changed, func(path string) bool { return path == d.Target || strings.HasPrefix(path, d.Target+"/") }):
		fault("it says that it will %s %s, where it has changed nothing", d.Action, d.Target)
	case d.Action == host.Create && first:
		fault("it says that it will create %s, which stood there before", d.Target)
	case d.Action == host.Update && !before:
		fault("it says that it will update %s, where nothing stood", d.Target)
	case d.Action != host.Delete && !stands:
		fault("it says that it will %s %s, where nothing stands after it", d.Action, d.Target)
	case d.Action == host.Delete && stands:
		fault("it says that it will delete %s, which still stands there", d.Target)
	default:
		holdDiff(d, was, is, before, stands, fault)
	}
}

var attribute = regexp.MustCompile(`^(mode|owner|group|target): (.*)$`)

// holdDiff compares a diff of one path with what stood and stands there.
func holdDiff(d host.Description, was, is standing, before, stands bool, fault func(string, ...any)) {
	attrs, hunks := d.Diff, ""
	if at := strings.Index("\n"+d.Diff, "\n@@ "); at >= 0 {
		attrs, hunks = d.Diff[:at], d.Diff[at:]
	}
	plain := func(s standing, there bool) bool { return !there || s.mode.IsRegular() }
	var old, content string
	if before && was.mode.IsRegular() {
		old = was.content
	}
	if stands && is.mode.IsRegular() {
		content = is.content
	}
	if want := host.Diff([]byte(old), []byte(content)); hunks != "" && plain(is, stands) && hunks != want {
		fault("its diff of %s is\n%s\nbut it has made\n%s", d.Target, hunks, want)
	}
	for line := range strings.SplitSeq(attrs, "\n") {
		f := attribute.FindStringSubmatch(line)
		if f == nil || !stands {
			continue
		}
		from, to, both := strings.Cut(f[2], " → ")
		if !both {
			from, to = "", f[2]
		}
		if is.attr(f[1]) != to || both && before && was.attr(f[1]) != from {
			fault("it shows %q of %s, whose %s was %s and is %s", line, d.Target, f[1], was.attr(f[1]), is.attr(f[1]))
		}
	}
}

// shows returns how a text holds a secret, " as hex", "" where it doesn't.
func shows(text, secret string) string {
	plain := []byte(secret)
	forms := map[string][]string{
		"":               {secret},
		" as hex":        {hex.EncodeToString(plain)},
		" URL-escaped":   {url.QueryEscape(secret), url.PathEscape(secret)},
		" in quotes":     {strings.Trim(strconv.QuoteToASCII(secret), `"`), html.EscapeString(secret)},
		" letter by hex": {fmt.Sprintf("% x", secret)},
		" as a digest":   {fmt.Sprintf("%x", sha256.Sum256(plain)), fmt.Sprintf("%x", sha1.Sum(plain)), fmt.Sprintf("%x", md5.Sum(plain))},
	}
	// Within longer text base64 begins at any of three places; what its first and
	// last letters stand for is the neighbours' too.
	for shift := range 3 {
		coded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), plain...))
		coded = strings.TrimRight(coded, "=")
		if (shift+len(plain))%3 != 0 {
			coded = coded[:len(coded)-1]
		}
		coded = coded[min(len(coded), []int{0, 2, 3}[shift]):]
		forms[" as base64"] = append(forms[" as base64"], coded, strings.NewReplacer("+", "-", "/", "_").Replace(coded))
	}
	lower := strings.ToLower(text)
	for _, name := range []string{"", " as hex", " letter by hex", " as a digest", " as base64", " URL-escaped", " in quotes"} {
		for _, form := range forms[name] {
			found := strings.Contains(text, form)
			if name != "" && name != " as base64" {
				found = strings.Contains(lower, strings.ToLower(form))
			}
			if found && len(form) > 3 {
				if name == "" {
					return " in clear"
				}
				return name
			}
		}
	}
	return ""
}

// inside reports whether a path is the case's own.
func (c *testCase) inside(path string) bool {
	return path != c.root && strings.HasPrefix(filepath.Clean(path), c.root+"/")
}
