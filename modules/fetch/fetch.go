// Package fetch has the kind that keeps a copy of a host's file in the project.
package fetch

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{{Name: "fetch", NoPrograms: true, Output: Output{}, New: func() modules.Module { return &Fetch{} }}}
}

// Fetch is a copy of a host's file in a folder of the project, where muster runs.
//
// The copy of web1's /etc/hosts is TO/web1/etc/hosts. It has mode 0600, and is replaced in
// one step. The plan shows how it differs, unless not everybody may read the file on its
// host; one that everybody may read and that is secret all the same needs
// sensitive = true. No link is followed out of TO/HOST, and what is in the way there is
// left. At most 64 MiB are brought.
type Fetch struct {
	// Absolute path of the file on the host. A link is followed.
	Path string `arg:"path,key,path,required"`
	// A folder of the project, by its path from there: "fetched". It is made if it
	// doesn't exist. Nothing is kept where muster itself reads: in files, inventory,
	// playbooks, roles, templates, and in the folders of what muster.hcl names.
	To string `arg:"to,required"`
	// Pass over a file that isn't there. A copy that was brought before stays.
	MissingOK bool `arg:"missing_ok" default:"false"`
}

// Output is what fetch offers as its output; of a file that was passed over, nothing.
type Output struct {
	// The copy's path, from the project's folder.
	Path string `json:"path"`
	// Its SHA-256, in hex.
	SHA256 string `json:"sha256"`
}

// CopyOf is the folder, and the file.
func (f *Fetch) CopyOf() (to, path string) { return f.To, f.Path }

// May is the copy.
func (f *Fetch) May() []host.Effect {
	key := host.CopyKey(f.To, f.Path)
	if f.To == "" || f.Path == "" {
		key.Name = ""
	}
	return []host.Effect{host.Open(key.Space, key.Name)}
}

// Check refuses paths that lead elsewhere.
func (f *Fetch) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	wrong := func(arg, detail string, a ...any) {
		errs = append(errs, modules.ArgError{Arg: arg, Summary: "Wrong value", Detail: fmt.Sprintf(detail, a...)})
	}
	switch {
	case unknown("path"):
	case !filepath.IsAbs(f.Path):
		wrong("path", "%q is no absolute path on the host: it has to begin with \"/\".", f.Path)
	case strings.TrimSuffix(f.Path, "/") != path.Clean(f.Path) || f.Path == "/":
		wrong("path", "%q names no file as plainly as its copy is to be named: leave out \"..\", \".\" and what is empty.", f.Path)
	}
	switch {
	case unknown("to"):
	case !filepath.IsLocal(f.To) || path.Clean(f.To) == ".":
		wrong("to", "%q is no folder within the project: give its path from there, as \"fetched\".", f.To)
	case strings.HasPrefix(path.Clean(f.To), "."):
		wrong("to", "%q is hidden: such folders are muster's, git's and others'. Give another one, as \"fetched\".", f.To)
	}
	return errs
}

// Plan compares the file with its copy.
func (f *Fetch) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	at, err := v.Place(f.Path, true)
	if err != nil {
		return modules.Plan{}, err
	}
	info, err := v.Lstat(at)
	switch {
	case err != nil:
		return modules.Plan{}, err
	case !info.Exists() && f.MissingOK:
		return modules.Plan{}, nil
	case !info.Exists():
		return modules.Plan{}, fmt.Errorf("%s doesn't exist: missing_ok = true passes over a host without it", f.Path)
	case info.Type != host.Regular:
		return modules.Plan{}, fmt.Errorf("%s is a %s: only files are fetched", f.Path, info.Type)
	case info.Size > host.CopyLimit:
		return modules.Plan{}, fmt.Errorf("%s has %d bytes, and a file of at most %d (%d MiB) is fetched", f.Path, info.Size, host.CopyLimit, host.CopyLimit>>20)
	}
	sum, err := v.Sum(at)
	if err != nil {
		return modules.Plan{}, err
	}
	was, err := v.Copy(ctx, f.To, f.Path)
	if err != nil {
		return modules.Plan{}, err
	}
	if was.Sum == sum {
		out, err := host.Marshal(Output{Path: was.Path, SHA256: sum})
		return modules.Plan{Output: out}, err
	}
	c := &bring{Path: at, To: was.Path, Key: host.CopyKey(f.To, f.Path), Content: host.Content{Sum: sum, Size: info.Size, Sensitive: info.Sensitive || was.Hidden || info.Mode&0o004 == 0}, Was: was.Sum}
	c.diff, err = c.differs(ctx, v, was)
	return modules.Plan{Changes: []host.Change{c}}, err
}

// differs is how the copy changes.
func (c *bring) differs(ctx context.Context, v *host.View, was host.Copy) (string, error) {
	switch {
	case c.Content.Sensitive:
		return "(not shown: not everybody may read the file)", nil
	case was.Size != int64(len(was.Data)) || c.Content.Size > host.DiffLimit:
		return sums(was.Sum, c.Content.Sum), nil
	}
	data, err := v.ReadFile(ctx, c.Path, host.DiffLimit)
	if err != nil {
		return "", err
	}
	diff := host.Diff(was.Data, data)
	if strings.HasPrefix(diff, "(") { // no text
		diff = sums(was.Sum, c.Content.Sum)
	}
	return diff, nil
}

// sums tells of content that isn't compared line by line.
func sums(was, is string) string {
	if was == "" {
		return "sha256: " + is
	}
	return "sha256: " + was + " → " + is
}
