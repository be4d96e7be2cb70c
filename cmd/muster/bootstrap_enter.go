package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"muster/internal/keypair/sshkey"
	"muster/secret"
	"muster/transport"
	"muster/transport/ssh"
)

// The policy of this file: each step is proved by the next. The host's key is pinned before
// anything is told to it; the user's key logs in before passwords are turned off; passwords
// come back by themselves where no new login proves that it still does. A machine remembers
// that it was only let in halfway, so that a run that was killed is gone on with.

// enter sees to it that the machine can be logged in to with a key.
func (b *bootstrap) enter(ctx context.Context) error {
	conn, done, err := b.dial(ctx, nil)
	if errors.As(err, new(*transport.HostKeyError)) {
		if err = b.pin(ctx, err); err != nil {
			return err
		}
		conn, done, err = b.dial(ctx, nil)
	}
	if err == nil {
		defer done()
		return b.goOnEntering(ctx, conn)
	}
	if stage, ok := unreachable(err); !ok || stage != transport.StageAuthentication {
		return b.unreached(err)
	}
	return b.byPassword(ctx, err)
}

// halfEntered is in the home of who logs in, from before their key is installed until
// passwords are off.
const halfEntered = "~/.ssh/muster-bootstrap"

// goOnEntering turns passwords off where an earlier run has installed the key and came no
// further.
func (b *bootstrap) goOnEntering(ctx context.Context, conn transport.Conn) error {
	said, err := output(ctx, conn, "if [ -e "+halfEntered+" ]; then sudo -n true 2>/dev/null || [ $(id -u) = 0 ] && echo half || echo asks; fi", "")
	if err != nil {
		return b.unreached(err)
	}
	said = strings.TrimSpace(said)
	if said == "" {
		return nil
	}
	fmt.Fprintf(b.err, "\nAn earlier run has installed your key on %s, and left passwords on.\n", b.host.Name)
	none := secret.New("")
	password := &none
	if said == "asks" {
		if password = b.becomePassword; password == nil {
			if password, err = b.loginPassword(); err != nil {
				return err
			}
			b.becomePassword = password
		}
	}
	return b.passwordsOff(ctx, conn, password)
}

// tryLogin logs in once, over a connection of its own, and with a password only if one is
// given.
func (b *bootstrap) tryLogin(ctx context.Context, password *secret.String) error {
	_, done, err := b.dial(ctx, password)
	if err == nil {
		done()
	}
	return err
}

// reloadTime is how long sshd may take to listen again once it was told to reload. It is
// well within the minute after which the machine turns passwords on again.
const reloadTime = 20 * time.Second

// loginAfterReload logs in with the user's key once sshd listens: it starts itself anew to
// read its configuration, and refuses connections meanwhile.
func (b *bootstrap) loginAfterReload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	var refused error
	for {
		err := b.tryLogin(ctx, nil)
		if stage, _ := unreachable(err); stage == transport.StageConnect {
			refused = err
		} else if refused == nil || ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return refused
		case <-again.C:
		}
	}
}

// dial opens a connection of its own, and returns what closes it.
func (b *bootstrap) dial(ctx context.Context, password *secret.String) (transport.Conn, func(), error) {
	o := b.loaded.dialing(func(string) {})
	if password != nil {
		o.Password = func(name string) (string, bool) { return password.Reveal(), name == b.host.Name }
	}
	d := ssh.New(o)
	conn, err := d.Dial(ctx, b.host.Target())
	if err != nil {
		_ = d.Close()
		return nil, nil, err
	}
	return conn, func() { _, _ = conn.Close(), d.Close() }, nil
}

// pin shows the key of a host that isn't known, and makes it the one that is.
func (b *bootstrap) pin(ctx context.Context, err error) error {
	var bad *transport.HostKeyError
	if !errors.As(err, &bad) || bad.Verdict != transport.KeyUnknown || bad.Host != b.host.Name {
		return b.unreached(err) // a key that has changed is for "muster trust" alone
	}
	file := b.loaded.project.KnownHosts()
	if file == "" {
		return errors.New("there is no project here to keep the host's key in (no muster.hcl in this folder or above)")
	}
	d := ssh.New(b.loaded.dialing(func(string) {}))
	defer d.Close()
	key, err := d.FetchHostKey(ctx, b.host.Target())
	if err != nil {
		return b.unreached(err)
	}
	fmt.Fprintf(b.err, "\n%s isn't known. It shows the key %s %s\n", b.host.Name, key.Type, key.Fingerprint)
	switch {
	case b.fingerprint == key.Fingerprint:
	case b.fingerprint != "":
		return fmt.Errorf("that isn't the key that --fingerprint names, %s: it may be somebody else's machine", b.fingerprint)
	case !term.IsTerminal(int(b.in.Fd())):
		return fmt.Errorf("compare it with what the machine's own console shows (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), and give --fingerprint %s", key.Fingerprint)
	default:
		ok, err := b.ask(ctx, "Compare it with the machine's own. Trust it?")
		if err != nil || !ok {
			return errors.Join(err, exitError(exitUsage))
		}
	}
	if err := ssh.Trust(file, b.host.Name, key); err != nil {
		return err
	}
	fmt.Fprintf(b.err, "It is known by it from here on (%s).\n", file)
	return nil
}

// loginPassword asks for the password of the machine's user.
func (b *bootstrap) loginPassword() (*secret.String, error) {
	var word []byte
	var err error
	if term.IsTerminal(int(b.in.Fd())) {
		word, err = b.askHidden(fmt.Sprintf("password on %s: ", b.host.Name))
	} else if word, err = bufio.NewReader(b.in).ReadBytes('\n'); len(word) > 0 {
		word, err = bytes.TrimRight(word, "\r\n"), nil
	}
	if err == nil && len(word) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the password: %w", err)
	}
	s := secret.New(string(word))
	return &s, nil
}

// byPassword logs in with a password, installs the user's key, proves it, and turns
// passwords off.
func (b *bootstrap) byPassword(ctx context.Context, refused error) error {
	fmt.Fprintf(b.err, "\n%s takes none of your keys.\n", b.host.Name)
	password, err := b.loginPassword()
	if err != nil {
		return errors.Join(b.unreached(refused), err)
	}
	conn, done, err := b.dial(ctx, password)
	if err != nil {
		return b.unreached(err)
	}
	defer done()
	public, err := ownAccessKey()
	if err != nil {
		return err
	}
	if _, err := output(ctx, conn, installKey, public+"\n"); err != nil {
		return fmt.Errorf("installing your key on %s: %w", b.host.Name, err)
	}
	if err := b.tryLogin(ctx, nil); err != nil {
		return fmt.Errorf("your key was installed on %s, and doesn't log in; passwords were left on: %w", b.host.Name, err)
	}
	fmt.Fprintf(b.err, "Your key is installed, and a new login with it works.\n")
	if b.becomePassword == nil {
		b.becomePassword = password // mostly sudo's too; it is asked only if it wants one
	}
	return b.passwordsOff(ctx, conn, password)
}

// installKey adds the line that it reads to the user's authorized_keys, once.
const installKey = `set -eu
umask 077
read -r line
mkdir -p ~/.ssh
touch ` + halfEntered + ` ~/.ssh/authorized_keys
chmod 700 ~/.ssh
chmod 600 ~/.ssh/authorized_keys
grep -qxF -- "$line" ~/.ssh/authorized_keys && exit 0
[ -z "$(tail -c 1 ~/.ssh/authorized_keys)" ] || echo >>~/.ssh/authorized_keys
printf '%s\n' "$line" >>~/.ssh/authorized_keys
`

// ownAccessKey is the public half of the user's own SSH key, which is made where there
// is none.
func ownAccessKey() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		if text, err := os.ReadFile(filepath.Join(home, ".ssh", name+".pub")); err == nil && !missing(filepath.Join(home, ".ssh", name)) {
			return strings.TrimSpace(string(text)), nil
		}
	}
	private, err := sshkey.New(loginName())
	if err != nil {
		return "", err
	}
	public, err := sshkey.Public(private.Reveal())
	if err != nil {
		return "", err
	}
	path := filepath.Join(home, ".ssh", "id_ed25519")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("making a key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("making a key: %w", err)
	}
	_, err = f.WriteString(private.Reveal())
	if err := errors.Join(err, f.Sync(), f.Close(), os.WriteFile(path+".pub", []byte(public+"\n"), 0o644)); err != nil {
		return "", fmt.Errorf("making a key: %w", err)
	}
	return public, nil
}

// passwordFile is the drop-in that turns passwords off: sshd takes the first value that it
// reads, and it reads these files by name.
const passwordFile = "/etc/ssh/sshd_config.d/00-muster-passwords.conf"

// asRootScript runs a script as root: sudo reads the password's line where it wants one.
const asRootScript = `if [ "$(id -u)" = 0 ]; then exec sh -c "$MUSTER_SCRIPT"; elif sudo -n true 2>/dev/null; then exec sudo -n sh -c "$MUSTER_SCRIPT"; else exec sudo -S -p '' sh -c "$MUSTER_SCRIPT"; fi`

// noPasswords turns passwords off, and has the machine itself turn them on again after a
// minute unless keepNoPasswords is run.
const noPasswords = `set -eu
f=` + passwordFile + `
back="rm -f $f && systemctl reload ssh"
[ -e "$f" ] && exit 0
mkdir -p /etc/ssh/sshd_config.d
systemctl stop muster-passwords.timer 2>/dev/null || true
systemd-run --quiet --collect --unit=muster-passwords --on-active=60 --timer-property=AccuracySec=1s sh -c "$back" >/dev/null
trap 'eval "$back"; systemctl stop muster-passwords.timer' EXIT
printf 'PasswordAuthentication no\nKbdInteractiveAuthentication no\n' >"$f"
sshd=$(command -v sshd || echo /usr/sbin/sshd)
"$sshd" -t
"$sshd" -T | grep -qx 'passwordauthentication no' || { echo "its sshd_config says otherwise" >&2; exit 1; }
systemctl reload ssh
trap - EXIT
`

const (
	keepNoPasswords = `systemctl stop muster-passwords.timer 2>/dev/null; test -e ` + passwordFile
	backToPasswords = `rm -f ` + passwordFile + `; systemctl reload ssh; systemctl stop muster-passwords.timer 2>/dev/null; true`
)

// passwordsOff has sshd take no passwords any more, if a new login proves that the key
// still logs in.
func (b *bootstrap) passwordsOff(ctx context.Context, conn transport.Conn, password *secret.String) error {
	root := func(script string) error {
		command := "MUSTER_SCRIPT=" + transport.Quote(script) + "; " + asRootScript
		said, err := output(ctx, conn, command, password.Reveal()+"\n")
		if err != nil && strings.TrimSpace(said) != "" {
			err = fmt.Errorf("%w: %s", err, clean(said))
		}
		return err
	}
	if err := root(noPasswords); err != nil {
		return fmt.Errorf("turning passwords off on %s; they were left on: %w", b.host.Name, err)
	}
	if err := b.loginAfterReload(ctx); err != nil {
		return errors.Join(fmt.Errorf("without passwords no new login succeeds on %s; they were turned on again: %w", b.host.Name, err), root(backToPasswords))
	}
	if err := root(keepNoPasswords); err != nil {
		return fmt.Errorf("passwords come back on %s by themselves: %w", b.host.Name, err)
	}
	if _, err := output(ctx, conn, "rm -f "+halfEntered, ""); err != nil {
		return b.unreached(err)
	}
	fmt.Fprintf(b.err, "%s takes no passwords any more, and a new login with your key works.\n", b.host.Name)
	return nil
}
