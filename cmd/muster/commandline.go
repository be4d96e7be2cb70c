package main

import (
	"regexp"
	"strings"

	"muster/secret"
	"muster/transport"
)

// commandLine is the command line of a run, as a shell reads it. Values of variables
// are in it only where the playbook says that they aren't sensitive.
func (a *app) commandLine(r *prepared) string { return line(r, a.args) }

// line is the command line of arguments, as commandLine shows it.
func line(r *prepared, args []string) string {
	shown := map[string]bool{}
	for _, v := range r.playbook.Variables {
		shown[v.Name] = !v.Sensitive
	}
	mask := func(v string) string {
		name, _, given := strings.Cut(v, "=")
		if given && !shown[name] {
			return name + "=" + secret.Hidden
		}
		return v
	}
	words := []string{"muster"}
	for i, next := 0, false; i < len(args); i++ {
		word := args[i]
		switch v, is := strings.CutPrefix(word, "--var="); {
		case next:
			word, next = mask(word), false
		case is:
			word = "--var=" + mask(v)
		case word == "--":
			for _, w := range args[i:] {
				words = append(words, shellWord(r.redact.Redact(w)))
			}
			return strings.Join(words, " ")
		default:
			next = word == "--var"
		}
		words = append(words, shellWord(r.redact.Redact(word)))
	}
	return strings.Join(words, " ")
}

// plainWord is a word that a shell takes as it stands.
var plainWord = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// shellWord is a word as a shell reads it.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return transport.Quote(s)
}
