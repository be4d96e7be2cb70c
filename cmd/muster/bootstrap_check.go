package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"muster/internal/engine"
	"muster/internal/launch"
	"muster/secret"
	"muster/transport"
)

// leastDisk is how much has to be free for a development machine, in KiB: what the
// reference playbook installs takes half of it.
const leastDisk = 4 << 20

// checkScript prints what a machine is, a line each, and changes nothing. The package
// mirror is asked as apt would, with its proxies.
const checkScript = `
LC_ALL=C; export LC_ALL
ID= VERSION_ID= PRETTY_NAME=
. /etc/os-release 2>/dev/null
echo "id $ID"
echo "version $VERSION_ID"
echo "name $PRETTY_NAME"
echo "machine $(uname -m)"
set -- $(df -Pk / | tail -n 1)
echo "disk $4"
echo "user $(id -un)"
[ "$(id -u)" = 0 ] && echo "root yes"
command -v sudo >/dev/null && echo "sudo yes"
d=$(mktemp -d) && cd "$d" || exit 0
# One that answers is enough: repositories that lie beside the mirror may have no InRelease.
apt-get update --print-uris 2>/dev/null | sed -n "s/^'\([^']*\)'.*/\1/p" | head -n 3 >uris
mirror=$(head -n 1 uris) reached= patience=30
while [ -z "$reached" ] && read -r uri; do
	if timeout $patience /usr/lib/apt/apt-helper download-file "$uri" "$d/x" >said 2>&1; then
		mirror=$uri reached=yes
	elif [ ! -e first ]; then
		grep '^[EW]:' said 2>/dev/null | head -n 1 >first
	fi
	patience=10
done <uris
echo "mirror $mirror"
echo "reached $reached"
[ -n "$reached" ] || echo "said $(cat first 2>/dev/null)"
cd / && rm -rf "$d"
`

// checkTime is how long the looking may take.
const checkTime = time.Minute

// check looks at the machine, and stops before anything is changed where it can't be made
// to work. All that is wrong is told at once.
func (b *bootstrap) check(ctx context.Context) error {
	r, err := b.reach(b.loaded)
	if err != nil {
		return err
	}
	defer r.close()
	now, err := b.look(ctx, r)
	if err != nil {
		return b.unreached(err)
	}
	fmt.Fprintf(b.err, "\nChecking %s\n", b.host.Name)
	var wrong []string
	say := func(what, found, trouble string) {
		mark := "ok"
		if trouble != "" {
			mark, wrong = "NO", append(wrong, what+": "+trouble)
		}
		fmt.Fprintf(b.err, "  %s  %-8s %s\n", mark, what, found)
	}
	say("system", now["name"], supported(now["id"], now["version"]))
	say("machine", now["machine"], b.runs(now["machine"]))
	free, _ := strconv.Atoi(now["disk"])
	trouble := ""
	if free < leastDisk {
		trouble = fmt.Sprintf("%.1f GiB are needed on /", float64(leastDisk)/(1<<20))
	}
	say("disk", fmt.Sprintf("%.1f GiB free", float64(free)/(1<<20)), trouble)
	trouble = ""
	if now["reached"] == "" {
		trouble = "the package mirror can't be reached: is there a network, and does /etc/apt name a mirror and the proxy? " + now["said"]
	}
	say("packages", now["mirror"], trouble)
	if now["root"] != "" {
		say("sudo", "not needed: you are root", "")
	} else if now["sudo"] == "" {
		say("sudo", "not there", "log in as root once and install it, with "+now["user"]+" in the group sudo")
	} else if err := b.proveSudo(ctx, r); err != nil {
		say("sudo", "refuses "+now["user"], err.Error())
	} else {
		say("sudo", "works for "+now["user"], "")
	}
	if wrong == nil {
		return nil
	}
	fmt.Fprintln(b.err, "\nNothing was changed. First of all:")
	for _, text := range wrong {
		fmt.Fprintf(b.err, "  %s\n", strings.TrimSpace(text))
	}
	return exitError(exitFailed)
}

// unreached shows why a machine can't be used.
func (b *bootstrap) unreached(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	b.view().Error(err)
	if engine.IsUnreachable(err) {
		return exitError(exitUnreachable)
	}
	return exitError(exitFailed)
}

// look asks the machine what it is.
func (b *bootstrap) look(ctx context.Context, r *reach) (map[string]string, error) {
	conn, err := r.mux.Dial(ctx, b.host.Target())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	text, err := output(ctx, conn, checkScript, "")
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%s gives no answer within %v", b.host.Name, checkTime)
	}
	now := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		now[key] = clean(value)
	}
	if err == nil && now["user"] == "" {
		err = fmt.Errorf("%s runs no commands: is /bin/sh its shell?", b.host.Name)
	}
	return now, err
}

// clean is a host's text without what could act on a terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, text[:min(len(text), 300)])
}

// output runs a script and returns what it printed, 64 KiB at most.
func output(ctx context.Context, conn transport.Conn, script, input string) (string, error) {
	p, err := conn.Start(ctx, script)
	if err != nil {
		return "", err
	}
	defer p.Close()
	go io.Copy(io.Discard, p.Stderr)
	if _, err := io.WriteString(p.Stdin, input); err != nil {
		return "", err
	}
	_ = p.Stdin.Close()
	text, err := io.ReadAll(io.LimitReader(p.Stdout, 64<<10))
	return string(text), errors.Join(err, p.Wait())
}

// supported says what is wrong with a release, "" where nothing is.
func supported(id, version string) string {
	n, err := strconv.ParseFloat(version, 64)
	switch {
	case id == "debian" && (version == "" || err == nil && n >= 12):
	case id == "ubuntu" && err == nil && n >= 22.04:
	case id == "debian", id == "ubuntu":
		return "Debian 12 or Ubuntu 22.04 is the oldest that this is made for: upgrade it"
	default:
		return "this is made for Debian and Ubuntu"
	}
	return ""
}

// runs says why there is no remote for a machine, "" where there is one.
func (b *bootstrap) runs(machine string) string {
	names := map[string]string{"x86_64": "amd64", "aarch64": "arm64"}
	arch := names[machine]
	if arch == "" || !slices.Contains(append((remotes{}).Arches(), runtime.GOARCH), arch) {
		return "muster has no program for it: it is for x86_64 and aarch64"
	}
	return ""
}

// proveSudo becomes root once, with a password where sudo wants one.
func (b *bootstrap) proveSudo(ctx context.Context, r *reach) error {
	try := func() error {
		s, err := r.connect(ctx, b.host.Name, engine.Start{Root: true})
		if err == nil {
			err = s.Close()
		}
		return err
	}
	err := try()
	if !errors.Is(err, launch.ErrSudo) || b.becomePassword != nil || !term.IsTerminal(int(b.in.Fd())) {
		return err
	}
	word, err := b.askHidden(fmt.Sprintf("sudo password on %s: ", b.host.Name))
	if err != nil {
		return fmt.Errorf("reading the password: %w", err)
	}
	s := secret.New(string(word))
	b.becomePassword, r.password = &s, &s
	return try()
}
