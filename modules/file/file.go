// Package file has the kinds that make files, directories and links.
package file

import (
	"context"
	"fmt"
	"path/filepath"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{
		{Name: "file", New: func() modules.Module { return &File{} }},
		{Name: "template", New: func() modules.Module { return &Template{} }},
		{Name: "directory", NoPrograms: true, New: func() modules.Module { return &Directory{} }},
		{Name: "directory_source", Companion: true, New: func() modules.Module { return &DirectorySource{} }},
		{Name: "link", NoPrograms: true, New: func() modules.Module { return &Link{} }},
		{Name: "htpasswd", New: func() modules.Module { return &Htpasswd{} }},
		{Name: "htpasswd_user", New: func() modules.Module { return &HtpasswdUser{} }},
		{Name: "line", New: func() modules.Module { return &Line{} }},
		{Name: "text_block", New: func() modules.Module { return &TextBlock{} }},
	}
}

// mayWrite is what a task that writes a file may alter: it and its backup.
func mayWrite(path string, backup bool) []host.Effect {
	list := []host.Effect{host.Open(host.Files, path)}
	if backup && path != "" {
		list = append(list, host.Backups(path))
	}
	return list
}

// File is a regular file: its content, mode and owner.
//
// With neither content nor source the file must exist already, or be made by
// an earlier task; then only its mode and owner are looked after.
type File struct {
	// Absolute path on the host.
	Path string `arg:"path,key,path,required"`
	// What the file holds.
	Content *host.Content `arg:"content"`
	// A file of the project to copy.
	Source *host.Content `arg:"source,file"`
	// Permissions, octal ("0644") or symbolic ("u=rw,go=r"). A new file has
	// 0644, or 0600 where its content is sensitive.
	Mode *host.ModeSpec `arg:"mode"`
	// The user who owns it.
	Owner string `arg:"owner"`
	// The group it belongs to.
	Group string `arg:"group"`
	// Whether the file is there at all.
	State string `arg:"state" oneof:"present absent" default:"present"`
	// Keep what stood there before as PATH.TIME~, with its mode and owner.
	Backup bool `arg:"backup" default:"false"`
	// A program that must accept the new file before it lands: "%s" is the
	// temporary file's path. If it doesn't, the old file stays.
	Validate []string `arg:"validate"`
	// Write to the end of a link instead of replacing the link.
	Follow bool `arg:"follow" default:"false"`
	// Write to the file that is there instead of replacing it: for one that is
	// mounted by itself, or whose other names or watchers are to see the change.
	// That isn't done in one step: a program that reads it meanwhile may see a
	// part of it, and a power cut leaves a mixture, which the next run mends.
	InPlace bool `arg:"in_place" default:"false"`
	// Leave the file as it is once somebody else has changed it, as people do with
	// dotfiles: what was to be written goes to PATH.muster-new instead, and the run says
	// so. What was written is noted in a file .NAME.muster-sums beside it.
	KeepChanged bool `arg:"keep_changed" default:"false"`
}

// Withhold hides the lines of what is sensitive.
func (f *File) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "mode", "owner", "group")
}

// May is the file, and what is kept beside it.
func (f *File) May() []host.Effect { return mayKeep(mayWrite(f.Path, f.Backup), f.Path, f.KeepChanged) }

// Check refuses contradictions.
func (f *File) Check(unknown func(string) bool) []modules.ArgError {
	errs := append(CheckPath("path", f.Path, unknown), checkValidate(f.Validate, unknown)...)
	if f.Content != nil && f.Source != nil {
		errs = append(errs, modules.ArgError{Arg: "source", Summary: "Conflicting arguments", Detail: `A file's content comes from "content" or from "source", not from both.`})
	}
	errs = append(errs, checkKeep(f.KeepChanged, f.State != "absent" && (f.Content != nil || f.Source != nil || unknown("content") || unknown("source")))...)
	if f.State == "absent" && (f.Content != nil || f.Source != nil || f.Mode != nil || f.Owner != "" || f.Group != "") {
		errs = append(errs, modules.ArgError{Arg: "state", Summary: "Conflicting arguments", Detail: `A file that is to be absent has no content, mode or owner.`})
	}
	return errs
}

// CheckPath refuses a path that isn't absolute.
func CheckPath(arg, path string, unknown func(string) bool) []modules.ArgError {
	if unknown(arg) || filepath.IsAbs(path) {
		return nil
	}
	return []modules.ArgError{{Arg: arg, Summary: "Wrong value", Detail: fmt.Sprintf("%q is no absolute path on the host: it has to begin with \"/\".", path)}}
}

// Plan compares the file with what stands there.
func (f *File) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	if f.State == "absent" {
		plan, err := planAbsent(v, f.Path, host.Regular, host.Symlink)
		return wanting(plan, err, f.Path, f.State)
	}
	content := f.Content
	if f.Source != nil {
		content = f.Source
	}
	d := desired{f.Path, content, f.Mode, f.Owner, f.Group, f.Backup, f.Validate, f.Follow, f.InPlace}
	if f.KeepChanged {
		return d.kept(ctx, v)
	}
	return d.wanted(ctx, v)
}

// planAbsent removes what stands at path, if it is one of the types.
func planAbsent(v *host.View, path string, types ...host.FileType) (modules.Plan, error) {
	path, err := v.Place(path, false)
	if err != nil {
		return modules.Plan{}, err
	}
	info, err := v.Lstat(path)
	if err != nil || !info.Exists() {
		return modules.Plan{}, err
	}
	for _, t := range types {
		if info.Type == t {
			return modules.Plan{Changes: []host.Change{&host.Remove{Path: path, Before: info}}}, nil
		}
	}
	return modules.Plan{}, fmt.Errorf("%s is a %s: muster doesn't remove it as a %s", path, info.Type, types[0])
}

// Template is a regular file, made from a template of the project.
//
// A template is text with ${…} and %{ if … }, %{ for … }. It sees its vars by
// bare name, and host, hosts, groups and var.
type Template struct {
	// Absolute path on the host.
	Path string `arg:"path,key,path,required"`
	// The template, a file of the project.
	Source *host.Content `arg:"source,template,required"`
	// What the template sees by bare name.
	Vars map[string]any `arg:"vars"`
	// Permissions, as of "file".
	Mode *host.ModeSpec `arg:"mode"`
	// The user who owns it.
	Owner string `arg:"owner"`
	// The group it belongs to.
	Group string `arg:"group"`
	// Keep what stood there before as PATH.TIME~, with its mode and owner.
	Backup bool `arg:"backup" default:"false"`
	// A program that must accept the new file before it lands: "%s" is the
	// temporary file's path. If it doesn't, the old file stays.
	Validate []string `arg:"validate"`
	// Write to the end of a link instead of replacing the link.
	Follow bool `arg:"follow" default:"false"`
	// Write to the file that is there instead of replacing it: for one that is
	// mounted by itself, or whose other names or watchers are to see the change.
	// That isn't done in one step: a program that reads it meanwhile may see a
	// part of it, and a power cut leaves a mixture, which the next run mends.
	InPlace bool `arg:"in_place" default:"false"`
	// Leave the file as it is once somebody else has changed it, as people do with
	// dotfiles: what was to be written goes to PATH.muster-new instead, and the run says
	// so. What was written is noted in a file .NAME.muster-sums beside it.
	KeepChanged bool `arg:"keep_changed" default:"false"`
}

// Withhold hides the lines of what is sensitive.
func (t *Template) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "mode", "owner", "group")
}

// May is the file, and what is kept beside it.
func (t *Template) May() []host.Effect {
	return mayKeep(mayWrite(t.Path, t.Backup), t.Path, t.KeepChanged)
}

// Check refuses a relative path.
func (t *Template) Check(unknown func(string) bool) []modules.ArgError {
	return append(CheckPath("path", t.Path, unknown), checkValidate(t.Validate, unknown)...)
}

// Plan compares the file with what the template gives.
func (t *Template) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	d := desired{t.Path, t.Source, t.Mode, t.Owner, t.Group, t.Backup, t.Validate, t.Follow, t.InPlace}
	if t.KeepChanged {
		return d.kept(ctx, v)
	}
	return d.wanted(ctx, v)
}
