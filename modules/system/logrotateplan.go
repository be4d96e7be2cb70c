package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

const (
	logrotate      = "/usr/sbin/logrotate"
	rotationMain   = "/etc/logrotate.conf"
	rotationFolder = "/etc/logrotate.d"
)

func (l *Logrotate) path() string { return rotationFolder + "/" + l.Name }

// May is the file.
func (l *Logrotate) May() []host.Effect {
	if l.Name == "" {
		return []host.Effect{host.Open(host.Files, "")}
	}
	return []host.Effect{host.Open(host.Files, l.path())}
}

// Plan compares the file.
func (l *Logrotate) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	var err error
	if l.State == "absent" {
		plan.Changes, err = gone(ctx, v, l.path())
		return plan, err
	}
	w := whole{path: l.path(), text: l.text()}
	if l.Content != nil {
		body, err := v.Body(ctx, *l.Content, wholeLimit)
		if err != nil {
			return plan, err
		}
		w.text, w.sensitive = string(body), l.Content.Sensitive
	}
	write, attr, err := w.plan(ctx, v)
	if err != nil || attr != nil {
		if attr != nil {
			plan.Changes = []host.Change{attr}
		}
		return plan, err
	}
	if write == nil {
		return plan, nil
	}
	program, err := v.Stat(logrotate)
	if err == nil && !program.Exists() {
		return plan, errors.New(`there is no logrotate on this host: install it in an earlier task, task "package" "logrotate" {}`)
	}
	if err != nil && !errors.Is(err, host.ErrNotYet) {
		return plan, err
	}
	plan.Changes = []host.Change{&WriteRotation{*write}}
	return plan, rotates(ctx, v, w)
}

// WriteRotation writes a file that logrotate accepts together with those beside it.
type WriteRotation struct{ host.WriteFile }

// Type is "logrotate.write/1".
func (*WriteRotation) Type() string { return "logrotate.write/1" }

// Apply has logrotate read what is there by then, and writes the file.
func (w *WriteRotation) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	body, err := h.Bodies.Read(ctx, w.Content, wholeLimit)
	if err != nil {
		return host.Result{}, err
	}
	if err := rotates(ctx, host.NewView(h, nil), whole{w.Path, string(body), w.Content.Sensitive}); err != nil {
		return host.Result{}, err
	}
	return w.WriteFile.Apply(ctx, h)
}

// rotates returns an error where logrotate finds more wrong with the file in its configuration than without.
func rotates(ctx context.Context, v *host.View, w whole) error {
	with, err := complaints(ctx, v, w, true)
	if err != nil || len(with) == 0 {
		return err
	}
	without, err := complaints(ctx, v, w, false)
	if err != nil {
		return err
	}
	said := slices.DeleteFunc(with, func(line string) bool { return slices.Contains(without, line) })
	if len(said) == 0 {
		return nil
	}
	if w.sensitive {
		said = []string{"(sensitive content)"}
	}
	return fmt.Errorf("logrotate refuses %s, and it hasn't been changed; logrotate says:\n%s", w.path, strings.Join(said, "\n"))
}

// complaints are the mistakes that logrotate finds in a private copy of its configuration.
func complaints(ctx context.Context, v *host.View, w whole, there bool) ([]string, error) {
	scratch, err := v.Scratch()
	if err != nil {
		return nil, err
	}
	defer scratch.Remove()
	if err := scratch.MakeDir("d"); err != nil {
		return nil, err
	}
	var names []string // of copies and what they stand for, in pairs
	put := func(name, path, text string) (string, error) {
		file, err := scratch.Write(name, []byte(text), 0o600)
		names = append(names, file, path)
		return file, err
	}
	others, err := v.ReadDir(rotationFolder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, name := range others {
		path := filepath.Join(rotationFolder, name)
		if path == w.path {
			continue
		}
		data, err := v.ReadFile(ctx, path, wholeLimit)
		if errors.Is(err, host.ErrNotYet) {
			continue
		}
		if err == nil {
			_, err = put("d/"+name, path, string(data))
		}
		if err != nil {
			return nil, err
		}
	}
	if there {
		if _, err := put("d/"+filepath.Base(w.path), w.path, w.text); err != nil {
			return nil, err
		}
	}
	main, err := v.ReadFile(ctx, rotationMain, wholeLimit)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, host.ErrNotYet) {
		return nil, err
	}
	text, included := string(main), false
	var b strings.Builder
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "include" && filepath.Clean(f[1]) == rotationFolder {
			line, included = "include "+scratch.Path()+"/d\n", true
		}
		b.WriteString(line)
	}
	if !included {
		b.WriteString("\ninclude " + scratch.Path() + "/d\n")
	}
	file, err := put("logrotate.conf", rotationMain, b.String())
	if err != nil {
		return nil, err
	}
	out, err := v.Query(ctx, host.Command{Argv: []string{logrotate, "-d", "-s", scratch.Path() + "/status", file}, OutputLimit: 8 << 20}, host.Key{Space: host.Packages, Name: "logrotate"})
	if errors.Is(err, host.ErrNotYet) || errors.Is(err, host.ErrNoProgram) {
		return nil, nil // it is asked again before the file lands
	}
	if err != nil {
		return nil, err
	}
	var list []string
	replace := strings.NewReplacer(names...)
	for line := range strings.Lines(string(out.Stderr) + string(out.Stdout)) {
		line = strings.TrimSpace(line)
		// A log that isn't there yet is no mistake of the file.
		if strings.HasPrefix(line, "error: ") && !strings.HasPrefix(line, "error: stat of ") {
			line = replace.Replace(line)
			// Of a folder that is included logrotate says the names alone.
			if name, rest, ok := strings.Cut(strings.TrimPrefix(line, "error: "), ":"); ok && name == filepath.Base(name) && slices.Contains(names, filepath.Join(rotationFolder, name)) {
				line = "error: " + filepath.Join(rotationFolder, name) + ":" + rest
			}
			list = append(list, line)
		}
	}
	return list, nil
}
