package planfile_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"muster/internal/planfile"
)

// keyPair makes an SSH key as ssh-keygen writes it.
func keyPair(t *testing.T, passphrase string) (private, public string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), string(ssh.MarshalAuthorizedKey(p))
}

func TestTheIdentityIsFoundWhereItIsSaidToBe(t *testing.T) {
	x, _ := age.GenerateX25519Identity()
	hybrid, _ := age.GenerateHybridIdentity()
	private, public := keyPair(t, "")
	locked, lockedPublic := keyPair(t, "sesame")
	ask := func(string) ([]byte, error) { return []byte("sesame"), nil }
	for name, test := range map[string]struct {
		files map[string]string // below the home folder
		where planfile.Where
		want  string // the path, below the home folder
		err   string // of finding or opening
	}{
		"nothing is there":                    {nil, planfile.Where{}, "", "make one with `age-keygen"},
		"a file of age":                       {map[string]string{".config/muster/identity": "# public key: …\n" + x.String() + "\n", ".ssh/id_ed25519.pub": public}, planfile.Where{}, ".config/muster/identity", ""},
		"a post-quantum one":                  {map[string]string{".config/muster/identity": hybrid.String()}, planfile.Where{}, ".config/muster/identity", ""},
		"an SSH key":                          {map[string]string{".ssh/id_ed25519": private, ".ssh/id_ed25519.pub": public}, planfile.Where{}, ".ssh/id_ed25519", ""},
		"an SSH key without its public half":  {map[string]string{".ssh/id_ed25519": private}, planfile.Where{}, ".ssh/id_ed25519", ""},
		"an SSH key with a passphrase":        {map[string]string{".ssh/id_ed25519": locked, ".ssh/id_ed25519.pub": lockedPublic}, planfile.Where{Passphrase: ask}, ".ssh/id_ed25519", ""},
		"one without its public half as well": {map[string]string{".ssh/id_ed25519": locked}, planfile.Where{Passphrase: ask}, ".ssh/id_ed25519", ""},
		"a passphrase and nobody to ask":      {map[string]string{".ssh/id_ed25519": locked, ".ssh/id_ed25519.pub": lockedPublic}, planfile.Where{}, ".ssh/id_ed25519", "there is no terminal"},
		"one that is named":                   {map[string]string{"key": private, ".config/muster/identity": x.String()}, planfile.Where{Named: "key"}, "key", ""},
		"one that is named and isn't there":   {map[string]string{".config/muster/identity": x.String()}, planfile.Where{Named: "key"}, "", "no such file"},
		"a file that is none":                 {map[string]string{".config/muster/identity": "hello"}, planfile.Where{}, "", "unknown identity type"},
		"a key whose private half is missing": {map[string]string{".ssh/id_ed25519.pub": public}, planfile.Where{}, ".ssh/id_ed25519", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			for name, text := range test.files {
				path := filepath.Join(home, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			w := test.where
			w.Home = home
			if w.Named != "" {
				w.Named = filepath.Join(home, w.Named)
			}
			id, err := planfile.FindIdentity(w)
			var ids []age.Identity
			if err == nil {
				if id.Path != filepath.Join(home, test.want) {
					t.Error("found", id.Path)
				}
				ids, err = id.Identities()
			}
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Error(err)
				}
				if len(test.files) == 0 && !errors.Is(err, planfile.ErrNoIdentity) {
					t.Error(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p := sensitive(t)
			p.Recipients = id.Recipients
			got := opened(t, written(t, p))
			if err := got.Unseal(ids...); err != nil {
				t.Fatal(err)
			}
			same(t, p, got)
		})
	}
}
