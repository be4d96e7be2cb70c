package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"muster/internal/planfile"
	"muster/internal/project"
	"muster/modules"
)

// How playbooks are named on the command line: by a path, or by the name that one has in
// the project's folder playbooks, without its ".hcl".

// playbookFolder is where a project has its playbooks.
const playbookFolder = "playbooks"

// playbookFile is the file that a playbook's name stands for. A file that is there is
// taken as it is.
func playbookFile(name string) (string, error) {
	if isFile(name) {
		if planfile.IsPlan(name) { // which apply takes by itself
			return "", fmt.Errorf("%s is a saved plan: \"muster show %s\" shows it, and \"muster apply %s\" makes it", name, shellWord(name), shellWord(name))
		}
		return name, nil
	}
	p, diags := project.Find(".")
	if p.Dir == "" || diags.HasErrors() { // which whoever reads the project says
		return name, nil
	}
	bare := !strings.ContainsRune(name, filepath.Separator)
	if file := filepath.Join(p.Dir, playbookFolder, strings.TrimSuffix(name, ".hcl")+".hcl"); bare && isFile(file) {
		return near(file), nil
	}
	list, err := ownPlaybooks(p.Dir)
	if err != nil || len(list) == 0 {
		return name, nil //nolint:nilerr // reading it says that it isn't there
	}
	text := fmt.Sprintf("there is no playbook %s", name)
	if like := modules.Nearest(strings.TrimSuffix(filepath.Base(name), ".hcl"), list); like != "" {
		return "", fmt.Errorf("%s: did you mean %s? The project has: %s", text, like, strings.Join(list, ", "))
	}
	return "", fmt.Errorf("%s; the project has: %s", text, strings.Join(list, ", "))
}

// playbookFiles is playbookFile for several.
func playbookFiles(names []string) ([]string, error) {
	files := make([]string, len(names))
	var errs []error
	for i, name := range names {
		var err error
		files[i], err = playbookFile(name)
		errs = append(errs, err)
	}
	return files, errors.Join(errs...)
}

// onePlaybook is the file of a command that takes one playbook, whose arguments are given.
func onePlaybook(use string, args []string) (string, error) {
	if len(args) == 1 {
		return playbookFile(args[0])
	}
	p, _ := project.Find(".")
	list, err := ownPlaybooks(p.Dir)
	if err != nil || len(list) == 0 {
		return "", fmt.Errorf("%s; the command is %s", argumentsGiven(args), use)
	}
	return "", fmt.Errorf("name a playbook; the project has: %s", strings.Join(list, ", "))
}

// ownPlaybooks are the names of the playbooks in a project's folder, sorted.
func ownPlaybooks(dir string) ([]string, error) {
	if dir == "" {
		return nil, nil
	}
	files, err := filepath.Glob(filepath.Join(dir, playbookFolder, "*.hcl"))
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".hcl")
	}
	slices.Sort(files)
	return files, err
}

// isFile reports whether there is something at a path that isn't a folder.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}
