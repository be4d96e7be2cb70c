package docs

import (
	"fmt"
	"os/exec"
	"strings"
)

// exitCodes are what muster ends with, the first that holds.
func exitCodes() []entry {
	return []entry{
		{"130", "interrupted"},
		{"1", "usage, configuration, or an error of muster's own"},
		{"4", "a host failed, after its login"},
		{"5", "a host could not be reached"},
		{"2", "changes are pending (plan --detailed-exitcode), or there is drift"},
		{"0", "done, or nothing to do"},
	}
}

// Shells are those that complete what is typed.
func Shells() []string { return []string{"bash", "zsh", "fish"} }

// Completion is the line that has a shell complete muster's commands from its next start on.
func Completion(shell string) string {
	switch shell {
	case "bash":
		return `mkdir -p ~/.local/share/bash-completion/completions && muster completion bash > ~/.local/share/bash-completion/completions/muster`
	case "zsh":
		return `muster completion zsh > "${fpath[1]}/_muster"`
	}
	return `mkdir -p ~/.config/fish/completions && muster completion fish > ~/.config/fish/completions/muster.fish`
}

// cliPage is the help of every command, as the program prints it.
func cliPage(muster string) (string, error) {
	var b strings.Builder
	b.WriteString("# The command line\n\n" + generated)
	b.WriteString("Exit codes, the first that holds:\n\n| code | |\n|---|---|\n")
	for _, c := range exitCodes() {
		fmt.Fprintf(&b, "| %s | %s |\n", c.name, c.text)
	}
	b.WriteString(`
Results go to standard output, progress and diagnostics to standard error. What
--output json prints is described in [json.md](json.md), what a terminal shows in
[screen.md](screen.md).

Completion, of commands and flags and of what they are about (hosts, groups, tags,
kinds, roles, runs, rotations, secrets, playbooks): ` + "`source <(muster completion bash)`" + ` for
this shell, or for good

`)
	for _, shell := range Shells() {
		fmt.Fprintf(&b, "    %s\n", Completion(shell))
	}
	b.WriteString("\nBash takes its package bash-completion for that; in zsh, the first folder of `fpath` is to be one of yours.\n")
	err := eachCommand(muster, nil, func(path []string, text string) {
		help, global, _ := sections(text, len(path) > 0)
		fmt.Fprintf(&b, "\n## %s\n\n```\n%s```\n", strings.TrimSpace("muster "+strings.Join(path, " ")), help)
		if global {
			b.WriteString("\nThe [flags of every command](#muster) hold here too.\n")
		}
	})
	return b.String(), err
}

// eachCommand visits a command, and those below it, with the help that the program prints.
func eachCommand(muster string, path []string, visit func(path []string, help string)) error {
	cmd := exec.Command(muster, append(path, "--help")...)
	cmd.Env = []string{"HOME=/nonexistent", "PATH=/usr/bin:/bin"}
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("muster %s --help: %w", strings.Join(path, " "), err)
	}
	visit(path, string(out))
	_, _, below := sections(string(out), false)
	for _, name := range below {
		if name == "help" || len(path) == 1 && path[0] == "completion" {
			continue
		}
		if err := eachCommand(muster, append(path[:len(path):len(path)], name), visit); err != nil {
			return err
		}
	}
	return nil
}

// sections drops the flags of every command from a command's help, where asked
// to, and the lines that lead on. It returns the names of the commands below.
func sections(text string, dropGlobal bool) (help string, global bool, below []string) {
	in := ""
	var kept []string
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " ")
		switch {
		case strings.HasSuffix(line, ":") && !strings.HasPrefix(line, " "):
			in = line
		case strings.HasPrefix(line, "Use \"muster"):
			in = "lead"
		case in == "Available Commands:" && strings.HasPrefix(line, "  "):
			below = append(below, strings.Fields(line)[0])
		}
		if in == "Global Flags:" && dropGlobal {
			global = true
			continue
		}
		if in != "lead" {
			kept = append(kept, line)
		}
	}
	return strings.TrimRight(strings.Join(kept, "\n"), "\n") + "\n", global, below
}
