package account

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
)

// rulesMost is how many files of rules are copied: more than sudo includes.
const rulesMost = 1000

// rulesCopy is a private copy of sudo's rules, in which includes lead to the
// copies of what they include.
type rulesCopy struct {
	scratch  *host.Scratch
	replaced rules
	used     bool     // the replaced file was come across
	names    []string // of copies and what they stand for, in pairs
	number   int
}

// next returns the name of a copy of path, without the ending.
func (c *rulesCopy) next(path, ending string) (string, error) {
	if c.number++; c.number > rulesMost {
		return "", fmt.Errorf("%s includes more than %d files, or itself", sudoersFile, rulesMost)
	}
	name := filepath.Join(c.scratch.Path(), fmt.Sprintf("%04d%s", c.number, ending))
	c.names = append(c.names, name, path)
	return name, nil
}

// inside is the name that a copy has in the private folder.
func (c *rulesCopy) inside(name string) string {
	return strings.TrimPrefix(name, c.scratch.Path()+"/")
}

// file copies a file of rules and what it includes, and returns the copy's
// name. Nothing is copied of one that isn't there: visudo says so.
func (c *rulesCopy) file(ctx context.Context, v *host.View, path string) (string, error) {
	name, err := c.next(path, "")
	if err != nil {
		return "", err
	}
	return name, c.copy(ctx, v, path, name)
}

func (c *rulesCopy) copy(ctx context.Context, v *host.View, path, name string) error {
	var body []byte
	if path == c.replaced.path {
		if c.used = true; !c.replaced.there {
			return nil
		}
		body = c.replaced.body
	} else {
		var err error
		if body, err = v.ReadFile(ctx, path, sudoersLimit); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
	}
	var b strings.Builder
	for line := range strings.Lines(string(body)) {
		before, included, after, whole := cutInclude(line)
		if included == "" {
			b.WriteString(line)
			continue
		}
		to, err := c.include(ctx, v, includePath(included, path), whole)
		if err != nil {
			return err
		}
		b.WriteString(before + to + after)
	}
	_, err := c.scratch.Write(c.inside(name), []byte(b.String()), 0o400)
	return err
}

// include copies what a line includes: a file, or a whole folder without the
// names that sudo passes over.
func (c *rulesCopy) include(ctx context.Context, v *host.View, path string, whole bool) (string, error) {
	if !whole {
		return c.file(ctx, v, path)
	}
	dir, err := c.next(path, ".d")
	if err != nil {
		return "", err
	}
	if err := c.scratch.MakeDir(c.inside(dir)); err != nil {
		return "", err
	}
	names, err := v.ReadDir(path)
	if err != nil {
		return "", err
	}
	if own := filepath.Base(c.replaced.path); filepath.Dir(c.replaced.path) == filepath.Clean(path) && !slices.Contains(names, own) {
		names = append(names, own)
	}
	for i, name := range names {
		file := filepath.Join(path, name)
		if strings.Contains(name, ".") || strings.HasSuffix(name, "~") || i > rulesMost {
			continue
		}
		if file != c.replaced.path {
			info, err := v.Stat(file)
			if err != nil {
				return "", err
			}
			if info.Type != host.Regular {
				continue
			}
		}
		if err := c.copy(ctx, v, file, filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// cutInclude finds the path in a line "@include PATH" or "@includedir PATH",
// also with the "#" of older sudo. The path may stand in double quotes, or have
// backslashes before its spaces.
func cutInclude(line string) (before, path, after string, whole bool) {
	rest := strings.TrimLeft(line, " \t")
	if rest == "" || rest[0] != '@' && rest[0] != '#' {
		return "", "", "", false
	}
	word, _, _ := cutSpace(rest[1:])
	if word != "include" && word != "includedir" {
		return "", "", "", false
	}
	rest = strings.TrimLeft(rest[1+len(word):], " \t")
	before = line[:len(line)-len(rest)]
	if strings.HasPrefix(rest, `"`) {
		path, after, _ = strings.Cut(rest[1:], `"`)
		return before, path, after, word == "includedir"
	}
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		switch {
		case rest[i] == '\\' && i+1 < len(rest):
			i++
		case strings.IndexByte(" \t\r\n", rest[i]) >= 0:
			return before, b.String(), rest[i:], word == "includedir"
		}
		b.WriteByte(rest[i])
	}
	return before, b.String(), "", word == "includedir"
}

// includePath is the file that is meant: %h is the short name of the host, and
// a relative path begins beside the file that includes it.
func includePath(path, from string) string {
	if strings.Contains(path, "%h") {
		name, _ := os.Hostname()
		name, _, _ = strings.Cut(name, ".")
		path = strings.ReplaceAll(path, "%h", name)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(from), path)
	}
	return path
}
