package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"muster/modules"
)

// What people type who come from another tool, or have mistyped, and what they are told.

// foreignFlags are flags of Ansible and Terraform, by their names of one letter and of
// several, with what muster has for them.
func foreignFlags() map[string]string {
	const (
		check  = `"muster plan PLAYBOOK" shows what an apply would change, and changes nothing`
		diff   = "diffs are always shown; sensitive = true hides those of a task"
		vars   = "did you mean --var NAME=VALUE? Files of variables are given with --var-file FILE"
		limit  = "did you mean --limit PATTERNS?"
		become = "who tasks are made as is said in the playbook: become = true, or a user's name, of a play, block, role or task"
		ask    = "did you mean --ask-become-pass?"
		tags   = "did you mean --tags TAGS?"
		yes    = "did you mean --yes?"
		forks  = "did you mean --parallel N? Without it all hosts are worked on at once"
		user   = "the inventory says who logs in: user = \"ops\" of a host, a group or defaults"
		key    = "the inventory says which key is used: identity = \"FILE\" of a host, a group or defaults"
		vault  = "the store of secrets is opened with your identity: see \"muster secret identity\""
	)
	return map[string]string{
		"check": check, "C": check, "dry-run": check, "syntax-check": `"muster validate PLAYBOOK" makes all checks that take no connection`,
		"diff": diff, "D": diff,
		"extra-vars": vars, "e": vars,
		"l": limit, "subset": limit,
		"K": ask, "become": become, "b": become, "become-user": become,
		"t":            tags,
		"auto-approve": yes, "auto-aprove": yes,
		"list-hosts": `did you mean "muster plan PLAYBOOK --list-hosts"?`,
		"list-tasks": `did you mean "muster plan PLAYBOOK --list-tasks"?`,
		"list-tags":  `did you mean "muster plan PLAYBOOK --list-tags"?`,
		"forks":      forks, "f": forks,
		"u": user, "user": user, "private-key": key, "key-file": key,
		"k": "logins are made with keys, and with no password", "ask-pass": "logins are made with keys, and with no password",
		"J": vault, "ask-vault-pass": vault, "vault-password-file": vault, "vault-id": vault,
		"start-at-task": "there is nothing like it: what is done already costs nothing, and --tags chooses tasks",
		"step":          "there is nothing like it: apply shows all it would make, and asks once",
		"out":           "did you mean --save FILE?", "target": "did you mean --limit PATTERNS, or --tags TAGS?",
		"m": `"muster run PATTERN -- COMMAND" runs a command on hosts`, "a": `"muster run PATTERN -- COMMAND" runs a command on hosts`,
	}
}

// flagError says which flag was probably meant, or what a flag takes.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		return unknownFlag(cmd, unknown)
	case errors.As(err, &invalid):
		if _, ok := invalid.GetFlag().Value.(names); ok {
			return fmt.Errorf("--%s %q: %w", invalid.GetFlag().Name, invalid.GetValue(), errEmptyName)
		}
		what := map[string]string{"int": "a whole number", "hosts": "a whole number of hosts, 1 or more", "bool": "true or false"}[invalid.GetFlag().Value.Type()]
		if what != "" {
			return fmt.Errorf("--%s takes %s, not %q", invalid.GetFlag().Name, what, invalid.GetValue())
		}
	}
	return err
}

// unknownFlag is the error for a flag that a command doesn't have.
func unknownFlag(cmd *cobra.Command, unknown *pflag.NotExistError) error {
	name := unknown.GetSpecifiedName()
	flag := "--" + name
	if len(name) == 1 {
		// Terraform writes long flags with one dash, which is read as flags of one letter.
		if word, _, _ := strings.Cut(unknown.GetSpecifiedShortnames(), "="); cmd.Flags().Lookup(word) != nil {
			return fmt.Errorf("there is no flag -%s: did you mean --%s?", word, word)
		} else if len(word) > 3 && foreignFlags()[word] != "" {
			name = word
		}
		flag = "-" + name
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if hint := foreignFlags()[name]; hint != "" && applies(cmd) && has(cmd, hint) {
		return fmt.Errorf("there is no flag %s: %s", flag, hint)
	}
	if near := modules.Nearest(name, names); near != "" && len(name) > 1 {
		return fmt.Errorf("there is no flag %s: did you mean --%s?", flag, near)
	}
	return fmt.Errorf("there is no flag %s: see %s --help", flag, cmd.CommandPath())
}

// has reports whether a command has the flag that a hint names as what was meant.
func has(cmd *cobra.Command, hint string) bool {
	meant, ok := strings.CutPrefix(hint, "did you mean --")
	end := strings.IndexAny(meant, " ?")
	return !ok || cmd.Flags().Lookup(meant[:end]) != nil
}

// applies reports whether a command is about playbooks or hosts: what other tools call a
// flag of one that isn't may be something else.
func applies(cmd *cobra.Command) bool {
	switch cmd.Name() {
	case "plan", "apply", "validate", "drift", "run", "muster", "facts", "trust", "rotate":
		return true
	}
	return false
}

// foreignCommands are what other tools, and people, call commands of muster.
func foreignCommands() map[string]string {
	return map[string]string{
		"playbook": "apply", "deploy": "apply", "check": "plan", "diff": "plan", "lint": "validate", "vault": "secret", "secrets": "secret",
		"hosts": "inventory list", "host": "inventory show", "ping": "run", "exec": "run", "adhoc": "run", "shell": "run",
		"log": "history", "logs": "history", "runs": "history", "setup": "facts", "gather": "facts", "blame": "why", "format": "fmt", "kinds": "doc",
		"cron": "schedule", "new": "init", "update": "apply", "status": "drift",
	}
}

// unknownCommand is the error for a word where a command stands.
func unknownCommand(cmd *cobra.Command, word string) error {
	var near []string
	add := func(path string) {
		if path = `"` + path + `"`; !slices.Contains(near, path) {
			near = append(near, path)
		}
	}
	here, deeper := map[string]string{}, map[string][]string{}
	var words []string
	for _, c := range cmd.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		here[c.Name()] = c.CommandPath()
		words = append(words, c.Name())
		for _, sub := range c.Commands() {
			deeper[sub.Name()] = append(deeper[sub.Name()], sub.CommandPath())
		}
	}
	if other := foreignCommands()[word]; other != "" && !cmd.HasParent() {
		add(cmd.CommandPath() + " " + other)
	} else if n := modules.Nearest(word, words); n != "" {
		add(here[n])
	}
	for _, w := range words {
		if len(word) > 1 && strings.HasPrefix(w, word) {
			add(here[w])
		}
	}
	for _, path := range deeper[word] {
		add(path)
	}
	if len(near) == 0 {
		return fmt.Errorf("there is no command %q: see %s --help", cmd.CommandPath()+" "+word, cmd.CommandPath())
	}
	return fmt.Errorf("there is no command %q: did you mean %s?", cmd.CommandPath()+" "+word, orList(near))
}

// orList joins words as a sentence has alternatives.
func orList(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " or " + list[len(list)-1]
}
