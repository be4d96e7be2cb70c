// Package archive has the kind that unpacks archives.
package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"muster/host"
	"muster/modules"
	"muster/modules/web"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{{Name: "archive", New: func() modules.Module { return &Archive{} }}}
}

// Archive is a directory that holds what is in an archive.
//
// An archive is a tar file, as it is or packed by gzip, xz, zstd or bzip2, or a zip file.
// Which of them it is is told by its content.
//
// The directory is the archive's alone. All of it is unpacked beside the directory and takes
// its place in one step, so that nobody ever sees half of it, and what an older archive had
// is gone. One that holds something else is refused, unless force is set. Once unpacked it
// is left alone until the archive, or an argument, is another: a file in it, .muster-archive,
// says what was unpacked. What somebody has changed or added there since is named in the plan
// that replaces it.
//
// Nothing in an archive gets out of the directory: names that are absolute or have "..",
// links that lead out of it, and devices are errors, and nothing is unpacked then. Files keep
// the times and permissions that they have in the archive, but for setuid, setgid and what
// lets others write.
type Archive struct {
	// Absolute path of the directory on the host. The one that it lies in has to be there.
	Path string `arg:"path,key,path,required"`
	// The archive, a file of the project.
	Source *host.Content `arg:"source,file"`
	// An archive that is on the host already, as an absolute path.
	FromPath string `arg:"from_path"`
	// The address of an archive on a web server, http or https.
	URL string `arg:"url"`
	// What the archive of url has to be, as download takes it: "sha256:" or "sha512:" and the
	// sum in hex, or the address of a file of such sums. Without one the server is asked
	// whether it has another.
	Checksum string `arg:"checksum"`
	// Headers of the requests, such as credentials.
	Headers map[string]string `arg:"headers"`
	// The certificates to trust instead of the host's own: as PEM, or the absolute path of a
	// file on the host.
	CA string `arg:"ca"`
	// Accept any certificate. A checksum holds all the same.
	Insecure bool `arg:"insecure" default:"false"`
	// The proxy to go through, as download takes it.
	Proxy string `arg:"proxy"`
	// How many folders to take off the front of each name; what has no more than these is
	// left out.
	Strip int `arg:"strip" default:"0"`
	// A path, absolute or in the directory: where it is there already nothing is unpacked.
	Creates string `arg:"creates"`
	// The user whom the directory and all that is in it belongs to. By default the one who
	// owns the directory already.
	Owner string `arg:"owner"`
	// The group that they belong to.
	Group string `arg:"group"`
	// Permissions to give to all of it, over those of the archive: symbolic ("u=rwX,go=rX"), or
	// octal, which gives files and directories the same.
	Mode *host.ModeSpec `arg:"mode"`
	// Replace a directory that muster hasn't unpacked, with all that is in it.
	Force bool `arg:"force" default:"false"`
	// The most that may be unpacked, in MiB: a small archive may hold a disk full of zeros.
	MaxSize int `arg:"max_size" default:"2048"`
	// The most files, directories and links that may be unpacked.
	MaxFiles int `arg:"max_files" default:"200000"`
}

// source is where an archive of url is.
func (a *Archive) source() web.Source {
	return web.Source{URL: a.URL, Checksum: a.Checksum, Headers: a.Headers, CA: a.CA, Insecure: a.Insecure, Proxy: a.Proxy}
}

// Check refuses what contradicts itself.
func (a *Archive) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, summary, format string, v ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: fmt.Sprintf(format, v...)})
		}
	}
	if !filepath.IsAbs(a.Path) || filepath.Clean(a.Path) == "/" {
		fail("path", "Wrong value", `%q is no absolute path of a directory on the host that could be replaced: it begins with "/", and goes on.`, a.Path)
	}
	type argument struct {
		name  string
		given bool
	}
	var places []string
	for _, arg := range []argument{{"source", a.Source != nil}, {"from_path", a.FromPath != ""}, {"url", a.URL != ""}} {
		if arg.given || unknown(arg.name) {
			places = append(places, arg.name)
		}
	}
	switch {
	case len(places) == 0:
		errs = append(errs, modules.ArgError{Summary: "Missing argument", Detail: `Where the archive is has to be given: "source", a file of the project; "from_path", a file on the host; or "url".`})
	case len(places) > 1:
		errs = append(errs, modules.ArgError{Arg: places[1], Summary: "Conflicting arguments", Detail: fmt.Sprintf(`An archive comes from one place: give %q or %q, not both.`, places[0], places[1])})
	}
	if a.FromPath != "" && !filepath.IsAbs(a.FromPath) {
		fail("from_path", "Wrong value", `%q is no absolute path on the host: it has to begin with "/".`, a.FromPath)
	}
	if a.URL != "" {
		errs = append(errs, a.source().Check(unknown)...)
	} else if !unknown("url") {
		for _, arg := range []argument{{"checksum", a.Checksum != ""}, {"headers", len(a.Headers) > 0}, {"ca", a.CA != ""}, {"insecure", a.Insecure}, {"proxy", a.Proxy != ""}} {
			if arg.given {
				fail(arg.name, "Conflicting arguments", `%q is about an archive of a web server: it needs "url".`, arg.name)
			}
		}
	}
	if a.Strip < 0 {
		fail("strip", "Wrong value", "%d folders can't be taken off: 0 or more can.", a.Strip)
	}
	if a.MaxSize <= 0 {
		fail("max_size", "Wrong value", "%d is no bound: it takes a number of MiB from 1 on.", a.MaxSize)
	}
	if a.MaxFiles <= 0 {
		fail("max_files", "Wrong value", "%d is no bound: it takes a number from 1 on.", a.MaxFiles)
	}
	return errs
}

// Withhold hides the lines of what is sensitive.
func (a *Archive) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "mode", "owner", "group")
}

// May is the directory with all that is in it, and what a run that was cut off left beside it.
func (a *Archive) May() []host.Effect {
	if a.Path == "" {
		return []host.Effect{host.Open(host.Files, "")}
	}
	path := filepath.Clean(a.Path)
	return []host.Effect{host.Open(host.Files, path), host.Begins(host.Files, path+"/")}
}

// noteName is the file that says, in the directory, what was unpacked there.
const (
	noteName = ".muster-archive"
	noteMode = host.Mode(0o644)
)

// note is what that file holds.
type note struct {
	Archive string `json:"archive"` // its sum, or what a server said of it
	Strip   int    `json:"strip,omitempty"`
	Owner   string `json:"owner,omitempty"`
	Group   string `json:"group,omitempty"`
	Mode    string `json:"mode,omitempty"`
	// Stamp is the file that it was unpacked from (host.FileInfo): as long as it is the same
	// it isn't read again.
	Stamp string `json:"stamp,omitempty"`
}

// same reports whether the same was unpacked.
func (n note) same(other note) bool {
	n.Stamp, other.Stamp = "", ""
	return n == other
}

// Plan compares what was unpacked with the archive.
func (a *Archive) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	path, err := v.Place(filepath.Clean(a.Path), true)
	if err != nil {
		return modules.Plan{}, err
	}
	before, err := v.Lstat(path)
	if err != nil {
		return modules.Plan{}, err
	}
	if before.Exists() && before.Type != host.Directory {
		return modules.Plan{}, fmt.Errorf("%s is a %s, not a directory", path, before.Type)
	}
	var plan modules.Plan
	leftover := filepath.Join(filepath.Dir(path), host.Temporary(filepath.Base(path)))
	if left, err := v.Lstat(leftover); err != nil {
		return modules.Plan{}, err
	} else if left.Exists() {
		plan.Changes = append(plan.Changes, &host.Remove{Path: leftover, Before: left, Note: "what a run that was cut off has left"})
	}
	if done, err := a.created(v, path); err != nil || done {
		return plan, err
	}
	was, err := noteIn(ctx, v, path, before)
	if err != nil {
		return modules.Plan{}, err
	}
	from, err := a.find(ctx, v, was)
	if err != nil {
		return modules.Plan{}, err
	}
	want := note{Archive: from.id, Strip: a.Strip, Owner: a.Owner, Group: a.Group, Stamp: from.stamp}
	if a.Mode != nil {
		want.Mode = a.Mode.String()
	}
	if was != nil && was.same(want) {
		return plan, nil
	}
	u, err := a.unpack(ctx, v, path, before, was, want)
	if err != nil {
		return modules.Plan{}, err
	}
	u.From, u.from, u.limits = from.name, from, limits{size: int64(a.MaxSize) << 20, files: a.MaxFiles}
	plan.Changes = append(plan.Changes, u)
	return plan, nil
}

// created reports whether what the archive would bring is there.
func (a *Archive) created(v *host.View, path string) (bool, error) {
	if a.Creates == "" {
		return false, nil
	}
	at := a.Creates
	if !filepath.IsAbs(at) {
		at = filepath.Join(path, at)
	}
	info, err := v.Stat(at)
	return info.Exists(), err
}

// noteIn reads what was unpacked in a directory; nil where that isn't known.
func noteIn(ctx context.Context, v *host.View, path string, dir host.FileInfo) (*note, error) {
	if !dir.Exists() {
		return nil, nil
	}
	data, err := v.ReadFile(ctx, filepath.Join(path, noteName), 64<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var n note
	if json.Unmarshal(data, &n) != nil || n.Archive == "" {
		return nil, nil
	}
	return &n, nil
}

// unpack is the change that unpacks the archive.
func (a *Archive) unpack(ctx context.Context, v *host.View, path string, before host.FileInfo, was *note, want note) (*Unpack, error) {
	dir, err := v.Lstat(filepath.Dir(path))
	switch {
	case err != nil:
		return nil, err
	case dir.Type != host.Directory:
		return nil, fmt.Errorf("the directory %s doesn't exist: add a directory task before this one", filepath.Dir(path))
	}
	u := &Unpack{Path: path, Strip: a.Strip, Before: before, After: before, Note: want, mode: a.Mode}
	if !before.Exists() {
		u.After = host.FileInfo{Type: host.Directory, Mode: 0o755, Owner: host.UserName(uint32(os.Geteuid())), Group: host.GroupName(uint32(os.Getegid()))}
	}
	if a.Mode != nil {
		u.After.Mode = a.Mode.Apply(u.After.Mode, true)
	}
	if err := a.owners(ctx, v, &u.After); err != nil {
		return nil, err
	}
	if !host.IsRoot() && u.After.Owner != host.UserName(uint32(os.Geteuid())) {
		return nil, fmt.Errorf("%s is to belong to %s, which only root can do: add become = true to the task", path, u.After.Owner)
	}
	data, err := json.Marshal(want)
	if err != nil {
		return nil, err
	}
	u.note = v.Keep(append(data, '\n'), false)
	if !before.Exists() {
		return u, nil
	}
	if at := host.MountedBelow(path); at != "" {
		return nil, fmt.Errorf("something is mounted at %s, and what is unpacked takes the whole directory's place: unmount it first, or give a directory of the archive's own", at)
	}
	names, err := v.ReadDir(path)
	if err != nil {
		return nil, err
	}
	switch {
	case was == nil && len(names) > 0 && !a.Force:
		return nil, fmt.Errorf("%s holds what muster hasn't unpacked there (%s), and an archive takes the place of all of it: give a directory of its own, or force = true, which loses what is there", path, few(names))
	case was == nil && len(names) > 0:
		u.Loses = "what muster hasn't unpacked there is lost: " + few(names)
	case was != nil:
		if u.Loses, err = edited(v, path); err != nil {
			return nil, err
		}
	}
	if u.was, err = v.Lstat(filepath.Join(path, noteName)); err == nil && u.was.Type == host.Regular {
		u.was.Sum, err = v.Sum(filepath.Join(path, noteName))
	}
	return u, err
}

// owners fills in whom the tree is to belong to.
func (a *Archive) owners(ctx context.Context, v *host.View, after *host.FileInfo) error {
	if a.Owner != "" {
		u, err := v.User(ctx, a.Owner)
		if err == nil && u == nil {
			err = fmt.Errorf("there is no user %s on this host, and no earlier task makes one", a.Owner)
		}
		if err != nil {
			return err
		}
		after.Owner = a.Owner
	}
	if a.Group != "" {
		g, err := v.Group(ctx, a.Group)
		if err == nil && g == nil {
			err = fmt.Errorf("there is no group %s on this host, and no earlier task makes one", a.Group)
		}
		if err != nil {
			return err
		}
		after.Group = a.Group
	}
	return nil
}

// edited tells what was changed in a tree after it was unpacked; its note was written last.
func edited(v *host.View, root string) (string, error) {
	unpacked, err := v.Lstat(filepath.Join(root, noteName))
	if err != nil {
		return "", err
	}
	var names []string
	var walk func(dir string) error
	walk = func(dir string) error {
		list, err := v.ReadDir(filepath.Join(root, dir))
		if err != nil {
			return err
		}
		for _, name := range list {
			at := filepath.Join(dir, name)
			info, err := v.Lstat(filepath.Join(root, at))
			if err != nil {
				return err
			}
			if info.ChangedAfter(unpacked) {
				names = append(names, at)
			}
			if info.Type == host.Directory {
				if err := walk(at); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := walk(""); err != nil || len(names) == 0 {
		return "", err
	}
	return "what was changed or added there since it was unpacked is lost: " + few(names), nil
}

// few is the first names of a list.
func few(names []string) string {
	const most = 5
	list := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		list += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return list
}
