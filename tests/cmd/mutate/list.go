package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/txtar"
)

// Mutation is one way to break the code, and the test that has to notice.
type Mutation struct {
	// Name is its file's path below the list, without the ending: "data/purge_mount".
	Name string
	// Promise is what a user could no longer rely on.
	Promise string
	// File is what is broken, relative to the root of the module.
	File string
	// Test is what must fail: a package and which of its tests, "./host -run TestX|TestY/case".
	Test []string
	// Old stands in the file exactly once, and is replaced by New.
	Old, New string
}

// Read returns the list in a folder, in the order of its names.
func Read(folder string) ([]Mutation, error) {
	var list []Mutation
	var problems []error
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".txtar" {
			return err
		}
		a, err := txtar.ParseFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		m, err := parse(strings.TrimSuffix(filepath.ToSlash(rel), ".txtar"), a)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", path, err))
		}
		list = append(list, m)
		return nil
	})
	return list, errors.Join(append(problems, err)...)
}

// parse reads a mutation: the promise, an empty line, file and test; then what is
// replaced, and by what.
func parse(name string, a *txtar.Archive) (Mutation, error) {
	m := Mutation{Name: name}
	promise, head, _ := strings.Cut(string(a.Comment), "\n\n")
	m.Promise = strings.Join(strings.Fields(promise), " ")
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "":
		case "file":
			m.File = value
		case "test":
			m.Test = strings.Fields(value)
		default:
			return m, fmt.Errorf("%q is neither file nor test", key)
		}
	}
	texts := map[string]string{}
	for _, f := range a.Files {
		texts[f.Name] = strings.TrimSuffix(string(f.Data), "\n")
	}
	m.Old, m.New = texts["old"], texts["new"]
	switch {
	case m.Promise == "" || m.File == "" || len(m.Test) != 3 || m.Test[1] != "-run":
		return m, errors.New("it needs a promise, a file, and a test as ./PACKAGE -run NAMES")
	case len(a.Files) != 2 || m.Old == "":
		return m, errors.New("it needs the sections old and new, and no others")
	case m.Old == m.New:
		return m, errors.New("old and new are the same")
	}
	return m, nil
}

// Apply returns the file with the mutation in it. Old text that isn't there exactly
// once is an error: the code has moved on, and the list has to follow.
func (m Mutation) Apply(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, m.File))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), m.Old); n != 1 {
		return "", fmt.Errorf("no longer applies: its old text stands %d times in %s", n, m.File)
	}
	return strings.Replace(string(text), m.Old, m.New, 1), nil
}
