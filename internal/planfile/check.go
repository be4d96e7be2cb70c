package planfile

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"muster/internal/wire"
)

// The limits of a plan. They are far beyond what is used, and keep a hostile
// file from filling memory or disk.
const (
	MaxManifest  = 128 << 20 // bytes of all but the files
	MaxInventory = 64 << 20  // bytes of the inventory
	MaxSealed    = 64 << 20  // bytes of sensitive files together
	MaxFiles     = 500_000
	maxPath      = 4096 // bytes of a path (PATH_MAX)
	maxName      = 255  // bytes of a path's element (NAME_MAX)
	maxDepth     = 200  // of JSON; as hclguard's
	keySize      = 32
)

// check refuses a plan that can't be laid or gone by. It is made of what is
// written, and of what was read.
func (p *Plan) check() error {
	switch {
	case p.Muster == "":
		return errors.New("the plan names no version")
	case !filepath.IsAbs(p.Dir) || filepath.Clean(p.Dir) != p.Dir:
		return fmt.Errorf("%q is no working directory", p.Dir)
	case p.Root != "" && (!filepath.IsAbs(p.Root) || filepath.Clean(p.Root) != p.Root):
		return fmt.Errorf("%q is no project's folder", p.Root)
	case len(p.Files) > MaxFiles:
		return fmt.Errorf("there are %d files, and a plan holds at most %d", len(p.Files), MaxFiles)
	}
	if err := p.checkFiles(); err != nil {
		return err
	}
	return p.checkLists()
}

// checkFiles refuses names that are not clean, files named twice, and things
// below what is no directory.
func (p *Plan) checkFiles() error {
	types := make(map[string]FileType, len(p.Files))
	playbook := false
	for i := range p.Files {
		f := &p.Files[i]
		if err := checkPath(p.Dir, f.Name); err != nil {
			return err
		}
		at := place(p.Dir, f.Name)
		if _, ok := types[at]; ok {
			return fmt.Errorf("%q is there twice", f.Name)
		}
		types[at] = f.Type
		switch f.Type {
		case Regular, Directory:
			if f.Target != "" {
				return fmt.Errorf("%q has a target and is no link", f.Name)
			}
		case Symlink:
			if f.Target == "" || len(f.Target) > maxPath || strings.ContainsRune(f.Target, 0) {
				return fmt.Errorf("the link %q has no target", f.Name)
			}
			if f.Sensitive {
				return fmt.Errorf("the link %q is sealed", f.Name)
			}
		default:
			return fmt.Errorf("%q is of the unknown type %q", f.Name, f.Type)
		}
		playbook = playbook || at == place(p.Dir, p.Playbook) && f.Type == Regular
	}
	if !playbook {
		return fmt.Errorf("the playbook %q is not among its files", p.Playbook)
	}
	for at := range types {
		for up := filepath.Dir(at); up != "/"; up = filepath.Dir(up) {
			if t, ok := types[up]; ok && t != Directory {
				return fmt.Errorf("%q lies below %q, which is no folder", at, up)
			}
		}
	}
	for _, dir := range []string{p.Dir, p.Root} {
		for up := dir; up != "/" && up != ""; up = filepath.Dir(up) {
			if t, ok := types[up]; ok && t != Directory {
				return fmt.Errorf("%q is no folder", up)
			}
		}
	}
	return nil
}

func checkPath(dir, name string) error {
	at := place(dir, name)
	if name == "" || name == "." || filepath.Clean(name) != name || strings.ContainsRune(name, 0) || at == "/" || len(at) > maxPath {
		return fmt.Errorf("%.200q is no path of a file", name)
	}
	for _, part := range strings.Split(at, "/") {
		if len(part) > maxName {
			return fmt.Errorf("%.200q is no path of a file: an element of it is too long", name)
		}
	}
	return nil
}

func (p *Plan) checkLists() error {
	variables := map[string]bool{}
	for i := range p.Variables {
		v := &p.Variables[i]
		if v.Name == "" || variables[v.Name] {
			return fmt.Errorf("the variable %q is there twice, or has no name", v.Name)
		}
		variables[v.Name] = true
		if err := v.check(); err != nil {
			return fmt.Errorf("the variable %q: %w", v.Name, err)
		}
	}
	secrets := map[string]bool{}
	for _, s := range p.Secrets {
		if s.Name == "" || secrets[s.Name] {
			return fmt.Errorf("the secret %q is there twice, or has no name", s.Name)
		}
		secrets[s.Name] = true
	}
	tasks := make(map[taskKey]bool, len(p.Tasks))
	for i := range p.Tasks {
		t := &p.Tasks[i]
		if t.Host == "" || t.ID == "" || tasks[t.key()] {
			return fmt.Errorf("the task %q of the host %q is there twice, or is nobody's", t.ID, t.Host)
		}
		tasks[t.key()] = true
		switch t.Status {
		case wire.Unchanged, wire.Pending, wire.Failed, wire.Skipped:
		default:
			return fmt.Errorf("the task %q has the status %q", t.ID, t.Status)
		}
		switch t.Certainty {
		case "", wire.Known, wire.Tentative, wire.Deferred:
		default:
			return fmt.Errorf("the task %q has the certainty %q", t.ID, t.Certainty)
		}
	}
	return nil
}

// checkDepth refuses JSON that lies deeper in itself than any plan does,
// before a decoder or what follows it recurses into it.
func checkDepth(data []byte) error {
	depth, inText := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case inText:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("it is more than %d levels deep", maxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}
