package repository

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"muster/host"
)

// sourceLimit is the size, in bytes, up to which a file of sources or a key is read.
const sourceLimit = 1 << 20

const (
	mainSources = "/etc/apt/sources.list"
	helper      = "/usr/lib/apt/apt-helper"
)

// reach are the keys that decide how apt reaches a repository: while one of them is pending,
// only the turn of the task can tell.
func reach(uris []string) []host.Key {
	keys := []host.Key{
		host.File("/etc/apt/apt.conf"), host.File("/etc/apt/apt.conf.d/*"),
		host.File("/etc/apt/auth.conf"), host.File("/etc/apt/auth.conf.d/*"),
		host.File("/etc/hosts"), host.File("/etc/resolv.conf"), host.File("/etc/nsswitch.conf"),
		host.File("/etc/ssl/certs/*"), {Space: host.Packages, Name: host.All},
	}
	if slices.ContainsFunc(uris, here) {
		return append(keys, host.Key{Space: host.All, Name: host.All})
	}
	return keys
}

// apt is how apt is asked in a private folder.
type apt struct {
	v       *host.View
	scratch *host.Scratch
	reads   []host.Key
}

// refusal is what apt has against a repository.
type refusal struct{ words string }

func (r *refusal) Error() string { return r.words }

// inPrivate calls do with a folder in which apt finds its own settings for fetching, and
// nothing else of the host: no hooks that other packages have in apt are run.
func inPrivate(ctx context.Context, v *host.View, uris []string, do func(a *apt) error) error {
	if v.Tainted() {
		return fmt.Errorf("how apt reaches it is %w", host.ErrNotYet)
	}
	a := &apt{v: v, reads: reach(uris)}
	settings, err := host.Once(v, "apt settings for fetching", func() (string, error) {
		out, err := v.Query(ctx, host.Command{Argv: []string{"apt-config", "dump"}}, a.reads...)
		if err != nil {
			return "", err
		}
		return fetching(string(out.Stdout)), nil
	})
	if err != nil {
		return err
	}
	if a.scratch, err = v.Scratch(); err != nil {
		return err
	}
	defer a.scratch.Remove()
	dir := a.scratch.Path()
	if err := a.scratch.Share(".", 0o711); err != nil { // apt fetches as a user of its own
		return err
	}
	for _, sub := range []string{"all", "parts", "lists", "cache", "cache/archives", "tmp"} {
		if err := a.scratch.MakeDir(sub); err != nil {
			return err
		}
		mode := os.FileMode(0o755)
		if sub == "tmp" {
			mode = 0o777 | os.ModeSticky
		}
		if err := a.scratch.Share(sub, mode); err != nil {
			return err
		}
	}
	conf := settings
	for _, line := range [][2]string{
		{"Dir::Etc::parts", "/dev/null"}, {"Dir::Etc::main", "/dev/null"},
		{"Dir::Etc::sourcelist", "/dev/null"}, {"Dir::Etc::sourceparts", dir + "/parts"},
		{"Dir::State::lists", dir + "/lists"}, {"Dir::Cache", dir + "/cache"},
		{"APT::Update::Error-Mode", "any"}, {"Acquire::Languages", "none"}, {"Acquire::Retries", "1"}, {"quiet", "0"},
		{"Acquire::http::Timeout", "20"}, {"Acquire::https::Timeout", "20"},
	} {
		conf += fmt.Sprintf("%s \"%s\";\n", line[0], line[1])
	}
	if _, err := a.scratch.Write("apt.conf", []byte(conf), 0o600); err != nil {
		return err
	}
	return do(a)
}

// fetching is what of apt's settings says how to fetch and what to trust.
func fetching(dump string) string {
	var b strings.Builder
	for line := range strings.Lines(dump) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Count(value, `"`) != 2 {
			continue
		}
		for _, prefix := range []string{"Acquire::", "APT::Architecture", "APT::Key::", "APT::Sandbox::", "APT::Default-Release", "Dir::Etc::trusted", "Binary::apt-get::Acquire::"} {
			if strings.HasPrefix(name, prefix) {
				b.WriteString(line)
				break
			}
		}
	}
	return b.String()
}

// run asks apt, and returns what it says besides its errors.
func (a *apt) run(ctx context.Context, argv ...string) (string, error) {
	dir := a.scratch.Path()
	out, err := a.v.Query(ctx, host.Command{Argv: argv, Dir: dir + "/tmp", Env: []string{"APT_CONFIG=" + dir + "/apt.conf", "TMPDIR=" + dir + "/tmp"}}, a.reads...)
	if err != nil {
		return "", err
	}
	// What apt says of copies, it says of the files.
	said := strings.NewReplacer(dir+"/parts/", folder, dir+"/all/", folder, dir+"/sources.list", mainSources, dir, "the private folder").Replace(string(out.Stderr))
	var errs, others []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		text, isError := strings.CutPrefix(line, "E: ")
		switch {
		case isError && !slices.Contains(errs, text):
			errs = append(errs, text)
		case !isError && line != "":
			others = append(others, line)
		}
	}
	if out.ExitCode == 0 {
		return strings.Join(others, "\n"), nil
	}
	for _, line := range others {
		if text, ok := strings.CutPrefix(line, "W: "); ok {
			errs = append(errs, text)
		}
	}
	if len(errs) == 0 {
		errs = []string{out.LastWords()}
	}
	return "", &refusal{strings.Join(errs, "\n")}
}

// fetch returns what is at an address, as apt's own downloader gets it: by its proxy and
// its certificates.
func fetch(ctx context.Context, v *host.View, address string) ([]byte, error) {
	return host.Once(v, "apt fetches "+address, func() (data []byte, err error) {
		err = inPrivate(ctx, v, []string{address}, func(a *apt) error {
			file := filepath.Join(a.scratch.Path(), "tmp", "key")
			if _, err := a.run(ctx, helper, "download-file", address, file); err != nil {
				var r *refusal
				if errors.As(err, &r) {
					return fmt.Errorf("the key can't be fetched: %w", r)
				}
				return err
			}
			info, err := os.Stat(file)
			if err == nil && info.Size() > sourceLimit {
				return fmt.Errorf("what is at %s has %d bytes, and is no key", address, info.Size())
			}
			if err == nil {
				data, err = os.ReadFile(file)
			}
			return err
		})
		return data, err
	})
}

// prove has apt read the repository as the file at path would say it, together with
// the host's other sources, and returns what apt has to say to it. An error that is a refusal is
// apt's.
func (r *AptRepository) prove(ctx context.Context, v *host.View, text string) ([]string, error) {
	others, err := sources(ctx, v)
	if err != nil {
		return nil, err
	}
	name := r.Name + ".sources"
	memo := "apt reads " + name + "\n" + text
	for _, s := range others {
		memo += "\n" + s.name + "\n" + s.text
	}
	return host.Once(v, memo, func() (notes []string, err error) {
		err = inPrivate(ctx, v, r.URIs, func(a *apt) error {
			all := a.scratch.Path() + "/all"
			for _, s := range append(others, source{name, text}) {
				at := "all/" + s.name
				if s.name == "" {
					at = "sources.list"
				}
				if _, err := a.scratch.Write(at, []byte(s.text), 0o644); err != nil {
					return err
				}
			}
			if _, err := a.scratch.Write("parts/"+name, []byte(text), 0o644); err != nil {
				return err
			}
			if _, err := a.run(ctx, "apt-get", "indextargets", "-o=Dir::Etc::sourcelist="+a.scratch.Path()+"/sources.list", "-o=Dir::Etc::sourceparts="+all); err != nil {
				return told("with it apt couldn't read its sources any more", err)
			}
			said, err := a.run(ctx, "apt-get", "update")
			if err != nil {
				return told("apt can't read the repository", err)
			}
			for line := range strings.Lines(said) {
				line = strings.TrimSpace(line)
				skipped := strings.Contains(line, "Skipping acquire of configured file")
				if skipped && (strings.Contains(line, "have the component") || len(r.Architectures) > 0) {
					return told("the repository lacks a part that is asked for", &refusal{strings.TrimLeft(line, "WN: ")})
				}
				if text, ok := strings.CutPrefix(line, "W: "); ok {
					notes = append(notes, "apt says of the repository: "+text)
				}
			}
			return nil
		})
		return notes, err
	})
}

// byNow is what apt says of how long a release has been over, or isn't valid yet: a plan that
// is made again a moment later would be another one.
var byNow = regexp.MustCompile(` \(invalid (since|for another) [^)]*\)`)

// told says what apt's refusal comes to; other errors are left as they are.
func told(what string, err error) error {
	var r *refusal
	if errors.As(err, &r) {
		return &refusal{what + ": " + byNow.ReplaceAllString(r.words, "")}
	}
	return err
}

// source is a file that tells apt of repositories; the name "" is sources.list's.
type source struct{ name, text string }

// sources reads what tells apt of repositories, once for all tasks.
func sources(ctx context.Context, v *host.View) ([]source, error) {
	names, err := v.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var list []source
	for _, name := range append([]string{""}, names...) {
		path := folder + name
		switch {
		case name == "":
			path = mainSources
		case !nameForm.MatchString(name) || filepath.Ext(name) != ".list" && filepath.Ext(name) != ".sources":
			continue // apt passes it over
		}
		info, err := v.Stat(path)
		if err != nil {
			return nil, err
		}
		if info.Type != host.Regular {
			continue
		}
		data, err := v.ReadFile(ctx, path, sourceLimit)
		if err != nil {
			return nil, err
		}
		list = append(list, source{name, string(data)})
	}
	return list, nil
}
