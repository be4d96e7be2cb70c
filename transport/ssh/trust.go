package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"

	"muster/transport"
)

// HostKey is a key that a host has shown and nobody has checked yet.
type HostKey struct {
	Type        string // "ssh-ed25519"
	Fingerprint string // "SHA256:…", to be compared with what the host's console shows
	key         ssh.PublicKey
}

// Line is the key as a known_hosts file has it, for name.
func (k HostKey) Line(name string) string { return strings.TrimSpace(knownHostsLine(name, k.key)) }

// errShown ends a handshake once the host has shown its key.
var errShown = errors.New("the key was shown")

// FetchHostKey returns the key that t shows, without logging in to it. The
// bastions on the way are logged in to as ever.
func (d *Dialer) FetchHostKey(ctx context.Context, t transport.Target) (HostKey, error) {
	var shown ssh.PublicKey
	_, err := d.dial(ctx, t, func(_ hop, key ssh.PublicKey) error {
		shown = plainKey(key)
		return errShown
	})
	if shown != nil {
		return HostKey{Type: shown.Type(), Fingerprint: ssh.FingerprintSHA256(shown), key: shown}, nil
	}
	if err == nil {
		err = fmt.Errorf("%s showed no key", t.Name)
	}
	return HostKey{}, err
}

// Trust makes key the one known key of name in file, which is created if need
// be. Other plain keys of that name are taken out; lines with patterns,
// authorities and revoked keys stay.
func Trust(file, name string, key HostKey) error {
	if err := (transport.Target{Name: name}).Validate(); err != nil {
		return err
	}
	return lockedFolder(file, func() error {
		old, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reading known hosts: %w", err)
		}
		var kept bytes.Buffer
		for line := range bytes.Lines(old) {
			kept.Write(withoutHost(line, name))
		}
		endLine(&kept)
		kept.WriteString(knownHostsLine(name, key.key))
		return replaceFile(file, kept.Bytes())
	})
}

// Trusted returns the plain keys by which file knows name.
func Trusted(file, name string) ([]HostKey, error) {
	lines, err := readKnownHosts(file, func(string) {}) // told when it is connected
	if err != nil {
		return nil, err
	}
	var keys []HostKey
	for _, l := range lines {
		if l.marker == "" && l.matches(name) {
			keys = append(keys, HostKey{Type: l.key.Type(), Fingerprint: ssh.FingerprintSHA256(l.key), key: l.key})
		}
	}
	return keys, nil
}

// withoutHost is line without name among its hosts, or nothing if it had no
// other.
func withoutHost(line []byte, name string) []byte {
	marker, hosts, _, _, _, err := ssh.ParseKnownHosts(bytes.TrimSpace(line))
	if err != nil || marker != "" {
		return line
	}
	others := slices.DeleteFunc(slices.Clone(hosts), func(h string) bool {
		return strings.EqualFold(h, name) || strings.HasPrefix(h, "|1|") && hashMatches(h, name)
	})
	switch len(others) {
	case len(hosts):
		return line
	case 0:
		return nil
	}
	return append([]byte(strings.Join(others, ",")), line[bytes.IndexAny(line, " \t"):]...)
}

// appendKnownHost adds key for name unless the file already has a key for it,
// and returns the file's lines as they then are.
func appendKnownHost(file, name string, key ssh.PublicKey) (lines []knownLine, err error) {
	err = lockedFolder(file, func() error {
		quiet := func(string) {} // told when the file was first read
		if lines, err = readKnownHosts(file, quiet); err != nil {
			return err
		}
		if slices.ContainsFunc(lines, func(l knownLine) bool { return l.marker == "" && l.matches(name) }) {
			return nil
		}
		f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			return fmt.Errorf("adding to known hosts: %w", err)
		}
		defer f.Close()
		text := knownHostsLine(name, key)
		last := make([]byte, 1)
		if info, err := f.Stat(); err == nil && info.Size() > 0 {
			if _, err := f.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
				text = "\n" + text
			}
		}
		if _, err := f.WriteString(text); err != nil {
			return fmt.Errorf("adding to known hosts: %w", err)
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("adding to known hosts: %w", err)
		}
		lines, err = readKnownHosts(file, quiet)
		return err
	})
	return lines, err
}

// lockedFolder calls change while no other muster changes files in file's
// folder. The folder itself is locked: a lock on the file would be lost when
// it is replaced, and a lock file left behind.
func lockedFolder(file string, change func() error) error {
	folder := filepath.Dir(file)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("making room for known hosts: %w", err)
	}
	f, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("locking known hosts: %w", err)
	}
	defer f.Close()
	// A file system without locks still has the one within this process.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil && !errors.Is(err, syscall.ENOLCK) && !errors.Is(err, syscall.ENOTSUP) {
		return fmt.Errorf("locking known hosts: %w", err)
	}
	return change()
}

func endLine(b *bytes.Buffer) {
	if b.Len() > 0 && b.Bytes()[b.Len()-1] != '\n' {
		b.WriteByte('\n')
	}
}

// replaceFile writes a file in one step, with the mode it had. A symbolic link
// is followed, so that it stays one.
func replaceFile(file string, content []byte) error {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".known_hosts-*")
	if err != nil {
		return fmt.Errorf("writing known hosts: %w", err)
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("writing known hosts: %w", err)
	}
	return nil
}
