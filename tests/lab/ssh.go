package lab

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// keyPair is an SSH key as files hold it.
type keyPair struct {
	private string // PEM, OpenSSH's own format
	public  string // "TYPE BASE64"
}

// marshalKey returns the files of a private key.
func marshalKey(key crypto.Signer, comment string) (keyPair, error) {
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return keyPair{}, err
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return keyPair{}, err
	}
	return keyPair{
		private: string(pem.EncodeToMemory(block)),
		public:  strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))),
	}, nil
}

func newEd25519(comment string) (keyPair, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return keyPair{}, err
	}
	return marshalKey(key, comment)
}

func newECDSA(comment string) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, err
	}
	return marshalKey(key, comment)
}

// makeHostIdentity writes to the host's state what an overlay that is thrown
// away doesn't take with it: host keys, by their names in /etc/ssh, and machine-id.
func makeHostIdentity(p paths, host string) error {
	dir := p.host(host)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, k := range []struct {
		name string
		make func(string) (keyPair, error)
	}{{"ssh_host_ed25519_key", newEd25519}, {"ssh_host_ecdsa_key", newECDSA}} {
		pair, err := k.make("root@" + host)
		if err != nil {
			return fmt.Errorf("making a host key of %s: %w", host, err)
		}
		if err := writeFile(filepath.Join(dir, k.name), pair.private, 0o600); err != nil {
			return err
		}
		if err := writeFile(filepath.Join(dir, k.name+".pub"), pair.public+" root@"+host+"\n", 0o644); err != nil {
			return err
		}
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	// A version 4 UUID, as machine-id(5) asks of one that isn't read from elsewhere.
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return writeFile(filepath.Join(dir, "machine-id"), fmt.Sprintf("%x\n", id), 0o444)
}

// makeWorkstation writes the workstation's home and an OpenSSH configuration
// that uses it. The configuration stands outside the home, where a tool that
// honours ~/.ssh/config would read it.
func makeWorkstation(p paths, hosts []spec) error {
	dir := filepath.Join(p.home(), ".ssh")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	pair, err := newEd25519("workstation")
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, "id_ed25519"), pair.private, 0o600); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, "id_ed25519.pub"), pair.public+" workstation\n", 0o644); err != nil {
		return err
	}
	var known strings.Builder
	for _, h := range hosts {
		for _, key := range []string{"ssh_host_ed25519_key.pub", "ssh_host_ecdsa_key.pub"} {
			b, err := os.ReadFile(filepath.Join(p.host(h.name), key))
			if err != nil {
				return err
			}
			fields := strings.Fields(string(b))
			fmt.Fprintf(&known, "%s %s %s\n", h.reach(), fields[0], fields[1])
		}
	}
	if err := writeFile(filepath.Join(dir, "known_hosts"), known.String(), 0o600); err != nil {
		return err
	}
	return writeFile(p.sshConfig(), sshConfig(p, hosts), 0o644)
}

func sshConfig(p paths, hosts []spec) string {
	var b strings.Builder
	for _, h := range hosts {
		fmt.Fprintf(&b, "Host %s\n\tHostName %s\n", h.name, h.reach())
		if h.name != Bastion {
			fmt.Fprintf(&b, "\tProxyJump %s\n", Bastion)
		}
	}
	fmt.Fprintf(&b, "Host *\n\tUser ops\n\tIdentityFile %[1]s/.ssh/id_ed25519\n\tUserKnownHostsFile %[1]s/.ssh/known_hosts\n"+
		"\tGlobalKnownHostsFile /dev/null\n\tStrictHostKeyChecking yes\n\tIdentitiesOnly yes\n\tIdentityAgent none\n"+
		"\tBatchMode yes\n\tConnectTimeout 10\n", p.home())
	return b.String()
}

// writeIdentity makes a fresh overlay's root the host h: names, keys, and who may log in.
func writeIdentity(p paths, h spec) error {
	root := p.root(h.name)
	copies := map[string]string{"machine-id": "etc/machine-id"}
	for _, k := range []string{"ssh_host_ed25519_key", "ssh_host_ecdsa_key"} {
		copies[k], copies[k+".pub"] = "etc/ssh/"+k, "etc/ssh/"+k+".pub"
	}
	for from, to := range copies {
		from = filepath.Join(p.host(h.name), from)
		st, err := os.Stat(from)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(root, to), string(b), st.Mode().Perm()); err != nil {
			return err
		}
	}
	if err := writeFile(filepath.Join(root, "etc/hostname"), h.name+"\n", 0o644); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(root, "etc/hosts"), etcHosts(h), 0o644); err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(p.home(), ".ssh/id_ed25519.pub"))
	if err != nil {
		return err
	}
	for _, user := range []string{"ops", "limited", "asks"} {
		if err := authorize(filepath.Join(root, "home", user), string(key)); err != nil {
			return fmt.Errorf("letting %s log in: %w", user, err)
		}
	}
	return nil
}

// authorize writes authorized_keys below home, as the one whom home belongs to.
func authorize(home, key string) error {
	st, err := os.Stat(home)
	if err != nil {
		return err
	}
	uid, gid, err := owner(st)
	if err != nil {
		return err
	}
	dir := filepath.Join(home, ".ssh")
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	file := filepath.Join(dir, "authorized_keys")
	if err := writeFile(file, key, 0o600); err != nil {
		return err
	}
	return errors.Join(os.Lchown(dir, uid, gid), os.Lchown(file, uid, gid))
}
