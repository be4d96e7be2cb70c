package shells

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"muster/tests/docs"
	"muster/tests/program"
)

// project is one that has something to offer of everything, in the folder DIR.
var project = map[string]string{
	"muster.hcl": "inventory = \"hosts.hcl\"\n",
	"hosts.hcl":  "host \"localhost\" {\n  connection = \"local\"\n}\ngroup \"frontends\" {\n  host \"web1\" { address = \"192.0.2.1\" }\n  host \"cache1\" { address = \"192.0.2.2\" }\n}\n",
	"playbooks/site.hcl": `play "here" {
  hosts = ["localhost"]
  task "file" "note" {
    path    = "DIR/note"
    content = "written\n"
    tags    = ["writing"]
  }
}
`,
	"playbooks/rotation/db.hcl": `rotation "shop_password" {
  secret = "shop/password"
  grace  = "1h"
  generate {}
  accept {
    hosts = ["localhost"]
    task "file" "accepted" {
      path    = "DIR/accepted"
      content = "${rotation.new}\n"
    }
  }
}
`,
}

// rc is what a shell reads at its start, beside what it reads in any case. In each, muster is a function that tells
// what was typed, and is muster where completion asks. The prompt is told from what is typed
// by being put together.
var rc = map[string]struct{ file, text string }{
	"bash": {".bashrc", `. /usr/share/bash-completion/bash_completion
muster() { if [ "$1" = __complete ]; then command muster "$@"; else printf 'typed<%s>\n' "$*"; fi; }
PS1='rea''dy$ '
bind 'set enable-bracketed-paste off'
`},
	"zsh": {".zshrc", `fpath=(~/completions $fpath)
autoload -U compinit && compinit -u -d ~/.zcompdump
muster() { if [ "$1" = __complete ]; then command muster "$@"; else printf 'typed<%s>\n' "$*"; fi; }
unsetopt zle_bracketed_paste 2>/dev/null
PS1='rea''dy$ '
`},
	"fish": {".config/fish/config.fish", `set fish_greeting
function muster
    if test "$argv[1]" = __complete
        command muster $argv
    else
        printf 'typed<%s>\n' "$argv"
    end
end
function fish_prompt
    printf '%s%s' rea 'dy$ '
end
`},
}

// In each shell that muster writes a completion for, installed as docs/cli.md says, a TAB
// behind the begin of a name writes the rest.
func TestNamesAreCompletedInRealShells(t *testing.T) {
	muster := program.Muster(t)
	dir := t.TempDir()
	for name, text := range project {
		write(t, filepath.Join(dir, name), strings.ReplaceAll(text, "DIR", dir))
	}
	home := t.TempDir()
	env := []string{"HOME=" + home, "PATH=" + filepath.Dir(muster) + ":/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", "LANG=C.UTF-8", "USER=root"}
	out, err := command(dir, env, "muster", "apply", "playbooks/site.hcl", "--yes").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	history, err := command(dir, env, "muster", "history").Output()
	run := regexp.MustCompile(`\d{8}-\d{4}-[0-9a-f]{4}`).FindString(string(history))
	if err != nil || run == "" {
		t.Fatalf("%v\n%s", err, history)
	}
	cases := map[string]string{ // what is typed before TAB, and what it then says
		"muster inventory show we":                       "inventory show web1",
		"muster run web1,front":                          "run web1,frontends",
		"muster plan playbooks/site.hcl --limit web1,ca": "plan playbooks/site.hcl --limit web1,cache1",
		"muster plan playbooks/site.hcl --tags wri":      "plan playbooks/site.hcl --tags writing",
		"muster plan playbooks/si":                       "plan playbooks/site.hcl",
		"muster doc sysct":                               "doc sysctl",
		"muster history " + run[:4]:                      "history " + run,
		"muster rotate shop":                             "rotate shop_password",
		"muster vers":                                    "version",
		"muster --output pre":                            "--output pretty",
	}
	for _, shell := range docs.Shells() {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skip("no", shell, "here: tests/setup.sh installs it")
			}
			if _, err := os.Stat("/usr/share/bash-completion/bash_completion"); shell == "bash" && err != nil {
				t.Skip("no bash-completion here: tests/setup.sh installs it")
			}
			if err := os.MkdirAll(filepath.Join(home, "completions"), 0o700); err != nil { // of zsh
				t.Fatal(err)
			}
			install := command(dir, env, shell, "-c", docs.Completion(shell))
			if shell == "zsh" {
				install = command(dir, env, shell, "-c", "fpath=(~/completions $fpath); "+docs.Completion(shell))
			}
			if out, err := install.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", docs.Completion(shell), err, out)
			}
			write(t, filepath.Join(home, rc[shell].file), rc[shell].text)
			term, err := open(command(dir, env, shell, "-i"))
			if err != nil {
				t.Fatal(err)
			}
			defer term.close()
			for typed, want := range cases {
				if _, err := term.await("ready$ "); err != nil {
					t.Fatalf("before %s: %v", typed, err)
				}
				if err := term.write(typed + "\t\r"); err != nil {
					t.Fatal(err)
				}
				shown, err := term.await("typed<")
				if err != nil {
					t.Fatalf("%s: %v", typed, err)
				}
				if strings.Contains(shown, `\,`) {
					t.Errorf("%s becomes %q on the screen", typed, shown)
				}
				got, err := term.await(">")
				if got = strings.TrimSpace(got); err != nil || got != want {
					t.Errorf("%s becomes %q, not %q (%v)", typed, got, want, err)
				}
			}
		})
	}
}

func command(dir string, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.Command("/usr/bin/env", append([]string{name}, args...)...)
	cmd.Dir, cmd.Env = dir, env
	return cmd
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
