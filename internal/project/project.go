// Package project finds the project that a command works in.
package project

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/hclguard"
	"muster/modules"
)

// File is the name of the file that makes a folder a project.
const File = "muster.hcl"

// Project is the settings of a folder with a muster.hcl. Paths are absolute.
type Project struct {
	Dir       string // "" where there is no project
	Inventory string // "" where it names none
	Secrets   string
	AcceptNew bool // host_keys = "accept-new"
	Source    []byte
	Name      string // of the file, as diagnostics have it
}

// KnownHosts is the project's own file of host keys; "" without a project.
func (p *Project) KnownHosts() string {
	if p.Dir == "" {
		return ""
	}
	return filepath.Join(p.Dir, "inventory", "known_hosts")
}

// Journal is the file in which runs are kept: the project's own, or, without a
// project, the user's ($XDG_STATE_HOME, else ~/.local/state).
func (p *Project) Journal() string {
	if p.Dir != "" {
		return filepath.Join(p.Dir, ".muster", "journal.db")
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // as the XDG Base Directory Specification says
		home, err := os.UserHomeDir()
		if err != nil {
			home = "/"
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "muster", "journal.db")
}

// Rel names a file from the project's folder, if it lies there; else it is
// absolute. "" stays "".
func (p *Project) Rel(file string) string {
	if file == "" {
		return ""
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	if rel, err := filepath.Rel(p.Dir, abs); p.Dir != "" && err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return abs
}

// Find reads the project around dir: the nearest parent with a muster.hcl.
// Without one it returns an empty project.
func Find(dir string) (*Project, hcl.Diagnostics) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return &Project{}, problem("No working directory", err.Error(), nil)
	}
	for at := dir; ; at = filepath.Dir(at) {
		file := filepath.Join(at, File)
		src, err := os.ReadFile(file)
		switch {
		case err == nil:
			return read(at, relative(dir, file), src)
		case !errors.Is(err, fs.ErrNotExist):
			return &Project{}, problem("Unreadable project", err.Error(), nil)
		case at == filepath.Dir(at):
			return &Project{}, nil
		}
	}
}

func relative(dir, file string) string {
	if rel, err := filepath.Rel(dir, file); err == nil {
		return rel
	}
	return file
}

func read(dir, name string, src []byte) (*Project, hcl.Diagnostics) {
	p := &Project{Dir: dir, Name: name, Source: src}
	f, diags := hclguard.Parse(name, src)
	if diags.HasErrors() {
		return p, diags
	}
	attrs, more := f.Body.JustAttributes()
	diags = append(diags, more...)
	for key, attr := range attrs {
		v, more := attr.Expr.Value(nil)
		diags = append(diags, more...)
		if more.HasErrors() {
			continue
		}
		if v.IsNull() || v.Type() != cty.String {
			diags = append(diags, problem("Wrong type", "\""+key+"\" takes a string.", attr.Expr.Range().Ptr())...)
			continue
		}
		s := v.AsString()
		switch key {
		case "inventory":
			p.Inventory = beside(dir, s)
			if _, err := os.Stat(p.Inventory); err != nil {
				diags = append(diags, problem("No such inventory", "There is no file or folder "+p.Inventory+".", attr.Expr.Range().Ptr())...)
			}
		case "secrets":
			p.Secrets = beside(dir, s)
		case "host_keys":
			switch s {
			case "strict":
			case "accept-new":
				p.AcceptNew = true
			default:
				diags = append(diags, problem("Wrong value", `"host_keys" is "strict" or "accept-new".`, attr.Expr.Range().Ptr())...)
			}
		default:
			detail := `A project has "inventory", "secrets" and "host_keys".`
			if near := modules.Nearest(key, []string{"inventory", "secrets", "host_keys"}); near != "" {
				detail += ` Did you mean "` + near + `"?`
			}
			diags = append(diags, problem("Unknown setting", detail, attr.NameRange.Ptr())...)
		}
	}
	return p, diags
}

func beside(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func problem(summary, detail string, at *hcl.Range) hcl.Diagnostics {
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: at}}
}
