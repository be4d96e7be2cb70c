package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/launch"
	"muster/internal/report"
)

// night is the playbooks that "muster schedule" applies.
//
//go:embed night/*.hcl
var night embed.FS

// own is a playbook of muster's own.
type own struct {
	parts   []string // of night, put together
	vars    map[string]cty.Value
	sources map[string]func(path string) error // files and folders that it copies, by name, and what makes each
}

// options are those of the command line that mean something to playbooks of the user's, and not to
// those of muster's own.
type options struct {
	limit, vars, varFiles []string
	reports               []report.Target
}

func (a *app) given() *options {
	return &options{limit: a.limit, vars: a.vars, varFiles: a.varFiles, reports: a.reports}
}

func (a *app) take(o *options) {
	a.limit, a.vars, a.varFiles, a.reports = o.limit, o.vars, o.varFiles, o.reports
}

// applyOwn applies a playbook of muster's own, which was agreed to. It is a run like any
// other: shown, kept in the journal, and in the plan before it is made.
func (a *app) applyOwn(ctx context.Context, l *loaded, o own) error {
	dir, err := os.MkdirTemp("", "muster-schedule-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var text bytes.Buffer
	for _, part := range o.parts {
		b, err := night.ReadFile("night/" + part)
		if err != nil {
			return err
		}
		text.Write(b)
		text.WriteString("\n")
	}
	book, vars := filepath.Join(dir, "schedule.hcl"), filepath.Join(dir, "vars.hcl")
	values := hclwrite.NewEmptyFile()
	for name, v := range o.vars {
		values.Body().SetAttributeValue(name, v)
	}
	if err := os.WriteFile(book, text.Bytes(), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(vars, values.Bytes(), 0o600); err != nil {
		return err
	}
	for name, write := range o.sources {
		if err := write(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	a.varFiles, a.bastions = []string{vars}, true
	defer func() { a.varFiles, a.bastions = nil, false }()
	r, err := a.prepareIn(l, nil, request{file: book, start: time.Now(), adHoc: "muster schedule"})
	if err != nil {
		return err
	}
	defer r.close()
	return a.apply(ctx, r, true)
}

// texts is a list for a variable.
func texts(list []string) cty.Value {
	if len(list) == 0 {
		return cty.ListValEmpty(cty.String)
	}
	values := make([]cty.Value, len(list))
	for i, s := range list {
		values[i] = cty.StringVal(s)
	}
	return cty.ListVal(values)
}

// unpacked writes a remote as it runs.
func unpacked(b launch.Binary) func(path string) error {
	return func(path string) error {
		z, err := gzip.NewReader(io.NewSectionReader(b.Gzip, 0, b.Packed))
		if err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, z)
		return errors.Join(err, f.Close())
	}
}

// copyProject copies a project, without what is the machine's own, and with the journal
// in the folder beside the copy.
func copyProject(from, to string) error {
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		at := filepath.Join(to, rel)
		switch {
		case d.IsDir() && (rel == ".git" || rel == ".muster"):
			return filepath.SkipDir
		case d.IsDir():
			return os.Mkdir(at, 0o700)
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(target, at)
		case !d.Type().IsRegular():
			return nil // sockets and the like are nobody's to copy
		}
		return copyFile(path, at)
	})
	if err != nil {
		return err
	}
	return os.Symlink("../state", filepath.Join(to, ".muster"))
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return err
	}
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}
