package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/spf13/cobra"

	"muster/internal/hclguard"
	"muster/internal/project"
	"muster/internal/view"
)

func newFmt(a *app) *cobra.Command {
	check := false
	cmd := &cobra.Command{
		Use:   "fmt [PATH…]",
		Short: "Format HCL files in the usual way",
		Long: "Fmt indents and aligns HCL files in the usual way, and prints the names of those it changed. It takes files, " +
			"folders (their *.hcl files, at any depth) and \"-\" (standard input, to standard output); by default the project.\n\n" +
			"A file that can't be parsed is reported and left as it is.",
		Example: "  muster fmt\n  muster fmt --check playbooks\n  muster fmt - < site.hcl",
		RunE: func(_ *cobra.Command, paths []string) error {
			if err := a.checkFlags(); err != nil {
				return err
			}
			f := &formatter{app: a, check: check, sources: map[string][]byte{}}
			if slices.Contains(paths, "-") {
				if len(paths) > 1 {
					return errors.New(`"-" is standard input, and stands alone`)
				}
				return f.stdin()
			}
			if len(paths) == 0 {
				root, err := projectFolder()
				if err != nil {
					return err
				}
				paths = []string{root}
			}
			return f.paths(paths)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "write nothing; list the files that differ, and exit 1 if there are any")
	return cmd
}

// projectFolder is the folder of the project, as seen from here.
func projectFolder() (string, error) {
	p, _ := project.Find(".") // what is wrong with its settings is no matter here
	if p.Dir == "" {
		return "", errors.New("name files or folders: there is no project here (no muster.hcl in this folder or above)")
	}
	if rel, err := filepath.Rel(mustGetwd(), p.Dir); err == nil {
		return rel, nil
	}
	return p.Dir, nil
}

// formatter formats files, and collects what is wrong with them.
type formatter struct {
	app     *app
	check   bool
	differs bool
	diags   hcl.Diagnostics
	sources map[string][]byte
	done    map[string]bool // files looked at, by their resolved paths
}

// format returns src formatted; ok is false where it can't be parsed, which
// has been noted.
func (f *formatter) format(name string, src []byte) (out []byte, ok bool) {
	_, diags := hclguard.Parse(name, src)
	if diags.HasErrors() {
		f.diags, f.sources[name] = append(f.diags, diags...), src
		return nil, false
	}
	return hclwrite.Format(src), true
}

// end shows the diagnostics, and decides how the command ends.
func (f *formatter) end() error {
	if err := f.app.fail(f.diags, f.sources); err != nil {
		return err
	}
	if f.check && f.differs {
		return errShown
	}
	return nil
}

func (f *formatter) stdin() error {
	src, err := io.ReadAll(f.app.in)
	if err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	out, ok := f.format("<stdin>", src)
	switch {
	case !ok:
	case f.check:
		f.differs = !bytes.Equal(src, out)
	default:
		if _, err := f.app.out.Write(out); err != nil {
			return err
		}
	}
	return f.end()
}

func (f *formatter) paths(paths []string) error {
	f.done = map[string]bool{}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.IsDir() {
			err = f.folder(path)
		} else {
			err = f.file(path)
		}
		if err != nil {
			return err
		}
	}
	return f.end()
}

// folder formats what a folder holds. Links are not followed: what they lead
// to is formatted where it stands.
func (f *formatter) folder(dir string) error {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name() == ".git" || d.Name() == ".muster"):
			return fs.SkipDir
		case !d.Type().IsRegular() || filepath.Ext(path) != ".hcl":
			return nil
		}
		return f.file(near(path))
	})
}

// near is the shorter of a path and its way from the working directory.
func near(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(mustGetwd(), abs); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}

// file formats one file. Of a link, the file that it leads to is written.
func (f *formatter) file(path string) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if f.done[target] {
		return nil
	}
	f.done[target] = true
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", path)
	}
	src, err := os.ReadFile(target)
	if err != nil {
		return err
	}
	out, ok := f.format(path, src)
	if !ok || bytes.Equal(src, out) {
		return nil
	}
	f.differs = true
	if !f.check {
		if err := replaceFile(target, out, info); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return f.tell(path)
}

// tell names a file that was formatted, or is to be.
func (f *formatter) tell(path string) error {
	if f.app.output == "json" {
		f.app.view() // the stream begins with its version
		return view.NewEncoder(f.app.out).Encode(struct {
			Type    string `json:"type"`
			File    string `json:"file"`
			Changed bool   `json:"changed"`
		}{"format", path, !f.check})
	}
	_, err := fmt.Fprintln(f.app.out, path)
	return err
}

// replaceFile puts content in a file's place at once, with the mode and the
// owner of info.
func replaceFile(path string, content []byte, info fs.FileInfo) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	if st, ok := info.Sys().(*syscall.Stat_t); ok && err == nil {
		err = tmp.Chown(int(st.Uid), int(st.Gid))
	}
	if err == nil {
		err = tmp.Chmod(info.Mode()) // after the owner, whose change drops bits
	}
	if err == nil {
		err = tmp.Sync()
	}
	if closed := tmp.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
