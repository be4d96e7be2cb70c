// Package identity finds the keys with which the user opens what is sealed.
package identity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
)

// ErrNone says that nothing was found to seal to.
var ErrNone = errors.New("there is no identity to seal it with; make one with `age-keygen -o ~/.config/muster/identity`, or an SSH key with `ssh-keygen -t ed25519`, or name the file of one in MUSTER_IDENTITY")

// Where says where an identity is looked for.
type Where struct {
	// Named is the value of MUSTER_IDENTITY, the path of a file; "" if unset.
	Named string
	Home  string // the user's home folder
	// Passphrase asks for the passphrase of an SSH key, when it is needed; nil
	// where nobody can be asked.
	Passphrase func(path string) ([]byte, error)
}

// Identity is what a user opens sealed things with.
type Identity struct {
	Path       string          // of the file it is from
	Recipients []age.Recipient // to seal to
	Public     []string        // the recipients as text, one for each
	open       func() ([]age.Identity, error)
}

// Identities returns what opens things sealed to Recipients. It may ask for a
// passphrase later, when it is used.
func (i *Identity) Identities() ([]age.Identity, error) { return i.open() }

// Find returns the user's identity: the file that MUSTER_IDENTITY
// names, else ~/.config/muster/identity, else the SSH key ~/.ssh/id_ed25519 or
// id_rsa. A file is one of age-keygen's or an SSH private key. Where there is
// none, it is ErrNone.
func Find(w Where) (*Identity, error) {
	if w.Named != "" {
		return w.file(w.Named)
	}
	id, err := w.file(filepath.Join(w.Home, ".config", "muster", "identity"))
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	for _, name := range sshNames() {
		id, err := w.sshKey(filepath.Join(w.Home, ".ssh", name))
		if !errors.Is(err, fs.ErrNotExist) {
			return id, err
		}
	}
	return nil, ErrNone
}

// All returns everything that may open what is sealed to the user, each to be tried
// in turn: the file that MUSTER_IDENTITY names alone; else ~/.config/muster/identity
// and the SSH keys. A passphrase is asked for when one of them fits, and not before.
// SSH keys that can't be used are passed over: skipped says why. Where nothing is
// left the error is ErrNone, or what was skipped.
func All(w Where) (ids []age.Identity, skipped error, err error) {
	add := func(id *Identity, err error) error {
		if err != nil {
			return err
		}
		more, err := id.open()
		ids = append(ids, more...)
		return err
	}
	if w.Named != "" {
		err := add(w.file(w.Named))
		return ids, nil, err
	}
	if err := add(w.file(filepath.Join(w.Home, ".config", "muster", "identity"))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	for _, name := range sshNames() {
		if err := add(w.sshKey(filepath.Join(w.Home, ".ssh", name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			skipped = errors.Join(skipped, err)
		}
	}
	if len(ids) == 0 {
		if skipped == nil {
			skipped = ErrNone
		}
		return nil, nil, skipped
	}
	return ids, skipped, nil
}

func sshNames() []string { return []string{"id_ed25519", "id_rsa"} }

// file reads an identity file of either sort.
func (w Where) file(path string) (*Identity, error) {
	data, err := readSmall(path)
	if err != nil {
		return nil, fmt.Errorf("reading the identity: %w", err)
	}
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return w.sshKey(path)
	}
	f, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	found := &Identity{Path: path, open: func() ([]age.Identity, error) { return f.all, nil }}
	for _, public := range f.Current { // what was replaced opens what was sealed to it, and no more is
		r, err := age.ParseRecipients(strings.NewReader(public))
		if err != nil {
			return nil, fmt.Errorf("reading the identity %s: %w", path, err)
		}
		found.Recipients, found.Public = append(found.Recipients, r...), append(found.Public, public)
	}
	return found, nil
}

// sshKey takes the public key from path.pub where there is one, so that
// sealing asks for no passphrase.
func (w Where) sshKey(path string) (*Identity, error) {
	pub, err := readSmall(path + ".pub")
	if errors.Is(err, fs.ErrNotExist) {
		return w.privateKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the identity: %w", err)
	}
	r, err := agessh.ParseRecipient(strings.TrimSpace(string(pub)))
	if err != nil {
		return nil, fmt.Errorf("reading the identity %s.pub: %w", path, err)
	}
	return &Identity{Path: path, Recipients: []age.Recipient{r}, Public: []string{publicText(pub)}, open: func() ([]age.Identity, error) { return w.openKey(path, pub) }}, nil
}

// privateKey is an SSH key without its public half beside it.
func (w Where) privateKey(path string) (*Identity, error) {
	data, err := readSmall(path)
	if err != nil {
		return nil, fmt.Errorf("reading the identity: %w", err)
	}
	id, err := agessh.ParseIdentity(data)
	found := &Identity{Path: path, open: func() ([]age.Identity, error) { return []age.Identity{id}, nil }}
	var locked *ssh.PassphraseMissingError
	switch id := id.(type) {
	case *agessh.Ed25519Identity:
		found.Recipients = []age.Recipient{id.Recipient()}
	case *agessh.RSAIdentity:
		found.Recipients = []age.Recipient{id.Recipient()}
	default:
		if errors.As(err, &locked) && locked.PublicKey != nil {
			pub := ssh.MarshalAuthorizedKey(locked.PublicKey)
			r, err := agessh.ParseRecipient(strings.TrimSpace(string(pub)))
			if err != nil {
				return nil, fmt.Errorf("reading the identity %s: %w", path, err)
			}
			return &Identity{Path: path, Recipients: []age.Recipient{r}, Public: []string{publicText(pub)}, open: func() ([]age.Identity, error) { return w.openKey(path, pub) }}, nil
		}
		return nil, fmt.Errorf("reading the identity %s: %w", path, err)
	}
	key, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("reading the identity %s: %w", path, err)
	}
	found.Public = []string{publicText(ssh.MarshalAuthorizedKey(key.PublicKey()))}
	return found, nil
}

// publicText is a line of an SSH public key without the comment at its end.
func publicText(line []byte) string {
	words := strings.Fields(string(line))
	return strings.Join(words[:min(len(words), 2)], " ")
}

// openKey reads an SSH private key, whose public half is known.
func (w Where) openKey(path string, pub []byte) ([]age.Identity, error) {
	data, err := readSmall(path)
	if err != nil {
		return nil, fmt.Errorf("reading the identity: %w", err)
	}
	id, err := agessh.ParseIdentity(data)
	if err == nil {
		return []age.Identity{id}, nil
	}
	var locked *ssh.PassphraseMissingError
	if !errors.As(err, &locked) {
		return nil, fmt.Errorf("reading the identity %s: %w", path, err)
	}
	if w.Passphrase == nil {
		return nil, fmt.Errorf("the identity %s has a passphrase, and there is no terminal to ask for it", path)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(pub)
	if err != nil {
		return nil, fmt.Errorf("reading the identity %s.pub: %w", path, err)
	}
	opened, err := agessh.NewEncryptedSSHIdentity(public, data, func() ([]byte, error) { return w.Passphrase(path) })
	if err != nil {
		return nil, fmt.Errorf("reading the identity %s: %w", path, err)
	}
	return []age.Identity{opened}, nil
}

// readSmall reads a key file; what is larger is none.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const limit = 1 << 20
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("%s is no key: it is too large", path)
	}
	return data, err
}
