package ssh

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// maxKeys is how many keys a host is offered. sshd's MaxAuthTries is 6, and
// each key that it refuses counts.
const maxKeys = 5

// defaultKeys are tried where ssh_config names no IdentityFile. Those of security
// keys only the agent can sign with.
func defaultKeys() []string {
	return []string{"id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk"}
}

// keys finds the keys of the user who runs muster, reading each file and
// asking each agent once.
type keys struct {
	opts Options

	mu     sync.Mutex
	files  map[string]keyFile
	agents map[string]*sshAgent
}

// keyFile is what a private key file gave. An encrypted one has a public key
// (if its format shows it) and no signer.
type keyFile struct {
	signers []ssh.Signer // with its certificate first, where it has one
	public  ssh.PublicKey
	err     error
}

// keyRing is what one login offers.
type keyRing struct {
	signers []ssh.Signer
	names   []string // of signers: "~/.ssh/id_ed25519 SHA256:…"
	notes   []string // why other keys are not offered
}

// id tells key rings apart.
func (r keyRing) id() string { return strings.Join(r.names, "\n") }

func (r *keyRing) add(name string, signers ...ssh.Signer) {
	for _, s := range signers {
		for _, have := range r.signers {
			if sameKey(have.PublicKey(), s.PublicKey()) {
				s = nil
				break
			}
		}
		if s == nil {
			continue
		}
		label := name + " " + ssh.FingerprintSHA256(s.PublicKey())
		if len(r.signers) == maxKeys {
			r.notes = append(r.notes, "more than five keys, not offered: "+label)
			continue
		}
		r.signers = append(r.signers, s)
		r.names = append(r.names, label)
	}
}

// ring collects the keys for h: its own identity, ssh_config's, the agent's,
// the default ones. ssh_config's certificates come before the keys that they are for.
// Only an identity that the inventory names must be there.
func (k *keys) ring(h hop) (keyRing, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.agent(h.agent)
	held := a.keys
	r := keyRing{notes: slices.Clone(h.notes)}
	if a.err != nil {
		r.notes = append(r.notes, a.err.Error())
	}
	defaults := defaultKeys()
	if h.own || h.onlyThese && h.identity != "" {
		defaults = nil
	}
	for i, name := range defaults {
		defaults[i] = filepath.Join(k.opts.Home, ".ssh", name)
	}
	k.certify(&r, h.certs, slices.Concat([]string{h.identity}, h.identities, defaults), held)
	if h.identity != "" {
		f := k.file(h.identity)
		signers := f.signers
		if len(signers) == 0 {
			signers = holding(held, f.public)
		}
		if len(signers) == 0 {
			return r, fmt.Errorf("identity %s: %w", h.identity, f.err)
		}
		r.add(h.identity, signers...)
	}
	add := func(path string) {
		f := k.file(path)
		switch {
		case len(f.signers) > 0:
			r.add(path, f.signers...)
		case len(holding(held, f.public)) > 0:
			r.add(path, holding(held, f.public)...)
		case !errors.Is(f.err, fs.ErrNotExist):
			r.notes = append(r.notes, fmt.Sprintf("%s: %v", path, f.err))
		}
	}
	for _, path := range h.identities {
		add(path)
	}
	if h.onlyThese {
		for _, path := range defaults {
			add(path)
		}
		return r, nil
	}
	// A crowd of agent keys leaves room for one default key.
	room := maxKeys - len(r.signers)
	for _, path := range defaults {
		if f := k.file(path); len(f.signers) > 0 {
			room -= len(f.signers)
			break
		}
	}
	first := min(max(room, 0), len(held))
	r.add("agent", held[:first]...)
	for _, path := range defaults {
		add(path)
	}
	r.add("agent", held[first:]...)
	return r, nil
}

// certify adds the certificates in files, each with the key that it is for: one of
// those in keys or of the agent's. mu is held.
func (k *keys) certify(r *keyRing, files, keys []string, held []ssh.Signer) {
	for _, path := range files {
		cert, ok := readPublicKey(path).(*ssh.Certificate)
		if !ok {
			r.notes = append(r.notes, path+": not a certificate")
			continue
		}
		var signers []ssh.Signer
		for _, file := range keys {
			if file != "" {
				signers = append(signers, k.file(file).signers...)
			}
		}
		added := false
		for _, s := range append(signers, held...) {
			if !sameKey(s.PublicKey(), cert.Key) {
				continue
			}
			if key, ok := s.(*agentKey); ok {
				s = &agentKey{agent: key.agent, public: cert, held: key.held}
			} else if certified, err := ssh.NewCertSigner(cert, s); err == nil {
				s = certified
			}
			r.add(path, s)
			added = true
			break
		}
		if !added {
			r.notes = append(r.notes, path+": there is no key that it is for")
		}
	}
}

// holding returns the agent's signers for a public key.
func holding(held []ssh.Signer, public ssh.PublicKey) []ssh.Signer {
	for _, s := range held {
		if public != nil && sameKey(s.PublicKey(), public) {
			return []ssh.Signer{s}
		}
	}
	return nil
}

// agent asks the agent at socket for its keys, once. mu is held.
func (k *keys) agent(socket string) *sshAgent {
	if socket == "" {
		return &sshAgent{}
	}
	a := k.agents[socket]
	if a == nil {
		a = newAgent(socket, k.opts.Timeouts)
		k.agents[socket] = a
		if a.err != nil {
			k.opts.Warn(a.err.Error())
		}
	}
	return a
}

// file reads a private key file, once. mu is held.
func (k *keys) file(path string) keyFile {
	if f, read := k.files[path]; read {
		return f
	}
	f := readKeyFile(path)
	k.files[path] = f
	return f
}

func readKeyFile(path string) keyFile {
	data, err := os.ReadFile(path)
	if err != nil {
		// The agent may have the key whose public half lies there.
		return keyFile{err: err, public: readPublicKey(path + ".pub")}
	}
	signer, err := ssh.ParsePrivateKey(data)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		f := keyFile{public: locked.PublicKey, err: errors.New("the key is encrypted and the SSH agent doesn't hold it: run ssh-add " + path)}
		if f.public == nil {
			f.public = readPublicKey(path + ".pub")
		}
		return f
	}
	if err != nil {
		// A public key names a key that the agent holds.
		if public := readPublicKey(path); public != nil {
			return keyFile{public: public, err: errors.New("this is a public key whose private half the SSH agent doesn't hold")}
		}
		// That of a security key is no key by itself.
		return keyFile{public: readPublicKey(path + ".pub"), err: fmt.Errorf("not a private key, or one that only the SSH agent can use: %w", err)}
	}
	f := keyFile{signers: []ssh.Signer{signer}, public: signer.PublicKey()}
	if cert, ok := readPublicKey(path + "-cert.pub").(*ssh.Certificate); ok {
		if certified, err := ssh.NewCertSigner(cert, signer); err == nil {
			f.signers = []ssh.Signer{certified, signer}
		}
	}
	return f
}

// readPublicKey returns nil where there is none.
func readPublicKey(path string) ssh.PublicKey {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil
	}
	return key
}
