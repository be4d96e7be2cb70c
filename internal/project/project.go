// Package project finds the project that a command works in.
package project

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/hclguard"
	"muster/internal/spelling"
)

// File is the name of the file that makes a folder a project.
const File = "muster.hcl"

// Project is the settings of a folder with a muster.hcl. Paths are absolute.
type Project struct {
	Dir       string // "" where there is no project
	Inventory string // "" where it names none
	Secrets   string
	AcceptNew bool // host_keys = "accept-new"
	// Commit is the program, with its arguments, that commits the store of secrets; nil
	// where it names none.
	Commit []string
	Drift  []string // the playbooks that a drift check plans; nil where it names none
	// Notify are the blocks that say who is told of drift: internal/notify reads them.
	Notify hcl.Blocks
	Source []byte
	Name   string // of the file, as diagnostics have it
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

// Reads lists the folders of the project, and files right in it, that muster reads: those with
// names of their own, and those of the inventory, the secrets and the playbooks that its file
// names.
func (p *Project) Reads() []string {
	if p.Dir == "" {
		return nil
	}
	list := []string{"files", "inventory", "playbooks", "roles", "templates"}
	for _, file := range append([]string{p.Inventory, p.Secrets}, p.Drift...) {
		if file != "" && !filepath.IsAbs(file) {
			file = filepath.Join(p.Dir, file)
		}
		at := p.Rel(file)
		if dir := filepath.Dir(at); dir != "." {
			at = dir
		}
		if filepath.IsLocal(at) && !slices.Contains(list, at) {
			list = append(list, at)
		}
	}
	return list
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
	attrs, more := p.parts(f.Body)
	diags = append(diags, more...)
	for key, attr := range attrs {
		v, more := attr.Expr.Value(nil)
		diags = append(diags, more...)
		if more.HasErrors() {
			continue
		}
		if key == "secrets_commit" {
			if p.Commit = words(v); p.Commit == nil {
				diags = append(diags, problem("Wrong type", `"secrets_commit" takes a program and its arguments: ["./commit-secrets.sh"].`, attr.Expr.Range().Ptr())...)
			}
			continue
		}
		if key == "drift" {
			if p.Drift = words(v); p.Drift == nil {
				diags = append(diags, problem("Wrong type", `"drift" takes the playbooks that a drift check plans: ["playbooks/site.hcl"].`, attr.Expr.Range().Ptr())...)
			}
			for i := range p.Drift {
				p.Drift[i] = beside(dir, p.Drift[i])
			}
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
			detail := `A project has "inventory", "secrets", "secrets_commit", "drift" and "host_keys", and blocks "notify".`
			if near := spelling.Nearest(key, []string{"inventory", "secrets", "secrets_commit", "drift", "host_keys"}); near != "" {
				detail += ` Did you mean "` + near + `"?`
			}
			diags = append(diags, problem("Unknown setting", detail, attr.NameRange.Ptr())...)
		}
	}
	return p, diags
}

// parts takes the blocks of a file, and returns its settings.
func (p *Project) parts(body hcl.Body) (hcl.Attributes, hcl.Diagnostics) {
	content, _, diags := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "notify", LabelNames: []string{"kind", "name"}}}})
	p.Notify = content.Blocks
	attrs := hcl.Attributes{}
	if b, ok := body.(*hclsyntax.Body); ok { // whose JustAttributes knows of no blocks that were taken
		for _, block := range b.Blocks {
			if block.Type != "notify" {
				diags = append(diags, problem("Unexpected \""+block.Type+"\" block", "A project has blocks \"notify\", and no others.", block.TypeRange.Ptr())...)
			}
		}
		for name, attr := range b.Attributes {
			attrs[name] = attr.AsHCLAttribute()
		}
	}
	return attrs, diags
}

// words are the strings of a list; nil where it is none, or its first is empty.
func words(v cty.Value) (list []string) {
	if v.IsNull() || !v.IsWhollyKnown() || !v.CanIterateElements() {
		return nil
	}
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if e.IsNull() || e.Type() != cty.String || len(list) == 0 && e.AsString() == "" {
			return nil
		}
		list = append(list, e.AsString())
	}
	return list
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
