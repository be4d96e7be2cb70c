package docs

import (
	"fmt"
	"os/exec"
	"strings"
)

// cliPage is the help of every command, as the program prints it.
func cliPage(muster string) (string, error) {
	var b strings.Builder
	b.WriteString("# The command line\n\n" + generated)
	b.WriteString(`Exit codes, the first that holds:

| code | |
|---|---|
| 130 | interrupted |
| 1 | usage, configuration, or an error of muster's own |
| 4 | a host failed, after its login |
| 5 | a host could not be reached |
| 2 | changes are pending (plan --detailed-exitcode) |
| 0 | done, or nothing to do |

Results go to standard output, progress and diagnostics to standard error. What
--output json prints is described in [json.md](json.md).

Completion: ` + "`source <(muster completion bash)`" + ` for this shell, or for good

    muster completion bash > /etc/bash_completion.d/muster
    muster completion zsh > "${fpath[1]}/_muster"
    muster completion fish > ~/.config/fish/completions/muster.fish
`)
	if err := command(&b, muster, nil); err != nil {
		return "", err
	}
	return b.String(), nil
}

// command writes the help of a command, and of those below it.
func command(b *strings.Builder, muster string, path []string) error {
	cmd := exec.Command(muster, append(path, "--help")...)
	cmd.Env = []string{"HOME=/nonexistent", "PATH=/usr/bin:/bin"}
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("muster %s --help: %w", strings.Join(path, " "), err)
	}
	help, global, below := sections(string(out), len(path) > 0)
	fmt.Fprintf(b, "\n## %s\n\n```\n%s```\n", strings.TrimSpace("muster "+strings.Join(path, " ")), help)
	if global {
		b.WriteString("\nThe [flags of every command](#muster) hold here too.\n")
	}
	for _, name := range below {
		if name == "help" || len(path) == 1 && path[0] == "completion" {
			continue
		}
		if err := command(b, muster, append(path[:len(path):len(path)], name)); err != nil {
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
