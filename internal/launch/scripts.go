package launch

import (
	"crypto/rand"
	_ "embed" // of the scripts
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"muster/transport"
)

//go:embed start.sh
var startScript string

//go:embed install.sh
var installScript string

// scripts makes what is run on the host. Marker and prompt are random, so that
// nothing printed by others can pass for them, and stand in the command in two
// halves, so that a shell that prints its commands doesn't print them.
type scripts struct {
	marker [2]string
	prompt [2]string
	token  string // of temporary names
}

func newScripts() scripts {
	random := func() string {
		b := make([]byte, 12)
		rand.Read(b)
		return hex.EncodeToString(b)
	}
	return scripts{marker: [2]string{"muster-" + random(), random()}, prompt: [2]string{"password-" + random(), random() + ":"}, token: random()}
}

func (s scripts) wholeMarker() string { return s.marker[0] + s.marker[1] }
func (s scripts) wholePrompt() string { return s.prompt[0] + s.prompt[1] }

// userName is what useradd(8) takes, and capitals.
var userName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,62}\$?$`)

// start is the command that runs a cached remote, or asks for one.
func (s scripts) start(o Options) (string, error) {
	var inner strings.Builder
	fmt.Fprintf(&inner, "M=%s\nM=${M}%s\n", s.marker[0], s.marker[1])
	sums := []string{}
	if !o.Fresh {
		for _, arch := range o.Binaries.Arches() {
			b, err := o.Binaries.Open(arch)
			if err != nil {
				return "", fmt.Errorf("opening the remote for %s: %w", arch, err)
			}
			sums = append(sums, fmt.Sprintf("%s:%d", b.Sum, b.Size))
		}
	}
	dirs := ""
	if o.Dirs != nil {
		dirs = words(o.Dirs)
	}
	fmt.Fprintf(&inner, "SUMS=%s\nDIRS=%s\n", transport.Quote(strings.Join(sums, " ")), transport.Quote(dirs))
	fmt.Fprintf(&inner, "run() {\n\texec \"$1\" %s\n}\n", words(o.Args))
	inner.WriteString(uncommented(startScript))

	begin := fmt.Sprintf("printf '\\n%%s%%s start\\n' %s %s\n", s.marker[0], s.marker[1])
	if o.Become == "" {
		return begin + inner.String(), nil
	}
	if !userName.MatchString(o.Become) {
		return "", fmt.Errorf("%q is not a user's name", o.Become)
	}
	sudo := "sudo -n"
	if o.Password != nil {
		// With -S alone, sudo asks only if it must: no need to fail with -n
		// first, which is logged and mailed.
		sudo = fmt.Sprintf("sudo -S -p %s\"$P\"", s.prompt[0])
	}
	return begin + fmt.Sprintf(`I=%s
P=%s
PATH=$PATH:/usr/local/bin:/usr/bin:/bin
if [ "$(id -un)" = %s ]; then exec /bin/sh -c "$I"; fi
if ! command -v sudo >/dev/null; then printf '\n%%s%%s nosudo\n' %s %s; exit 1; fi
LC_ALL=C
export LC_ALL
exec %s -H -u %s -- /bin/sh -c "$I"
`, transport.Quote(inner.String()), s.prompt[1], o.Become, s.marker[0], s.marker[1], sudo, o.Become), nil
}

// install is what a host that asks for the remote is sent before it.
func (s scripts) install(b Binary, fresh bool) string {
	flag := ""
	if fresh {
		flag = "1"
	}
	return fmt.Sprintf("S=%s\nZ=%d\nG=%d\nT=%s\nFRESH=%s\n%s", transport.Quote(b.Sum), b.Size, b.Packed, s.token, flag, uncommented(installScript))
}

// words quotes each word for the shell.
func words(list []string) string {
	quoted := make([]string, len(list))
	for i, w := range list {
		quoted[i] = transport.Quote(w)
	}
	return strings.Join(quoted, " ")
}

// uncommented drops comment lines and indentation: sudo logs its command.
func uncommented(script string) string {
	var b strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimLeft(line, "\t")
		if !strings.HasPrefix(line, "# ") {
			b.WriteString(line)
		}
	}
	return b.String()
}
