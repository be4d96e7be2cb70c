package identity_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"

	"muster/internal/identity"
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
		where identity.Where
		want  string // the path, below the home folder
		err   string // of finding or opening
	}{
		"nothing is there":                    {nil, identity.Where{}, "", "make one with `age-keygen"},
		"a file of age":                       {map[string]string{".config/muster/identity": "# public key: …\n" + x.String() + "\n", ".ssh/id_ed25519.pub": public}, identity.Where{}, ".config/muster/identity", ""},
		"a post-quantum one":                  {map[string]string{".config/muster/identity": hybrid.String()}, identity.Where{}, ".config/muster/identity", ""},
		"an SSH key":                          {map[string]string{".ssh/id_ed25519": private, ".ssh/id_ed25519.pub": public}, identity.Where{}, ".ssh/id_ed25519", ""},
		"an SSH key without its public half":  {map[string]string{".ssh/id_ed25519": private}, identity.Where{}, ".ssh/id_ed25519", ""},
		"an SSH key with a passphrase":        {map[string]string{".ssh/id_ed25519": locked, ".ssh/id_ed25519.pub": lockedPublic}, identity.Where{Passphrase: ask}, ".ssh/id_ed25519", ""},
		"one without its public half as well": {map[string]string{".ssh/id_ed25519": locked}, identity.Where{Passphrase: ask}, ".ssh/id_ed25519", ""},
		"a passphrase and nobody to ask":      {map[string]string{".ssh/id_ed25519": locked, ".ssh/id_ed25519.pub": lockedPublic}, identity.Where{}, ".ssh/id_ed25519", "there is no terminal"},
		"one that is named":                   {map[string]string{"key": private, ".config/muster/identity": x.String()}, identity.Where{Named: "key"}, "key", ""},
		"one that is named and isn't there":   {map[string]string{".config/muster/identity": x.String()}, identity.Where{Named: "key"}, "", "no such file"},
		"a file that is none":                 {map[string]string{".config/muster/identity": "hello"}, identity.Where{}, "", "unknown identity type"},
		"a key whose private half is missing": {map[string]string{".ssh/id_ed25519.pub": public}, identity.Where{}, ".ssh/id_ed25519", "no such file"},
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
			id, err := identity.Find(w)
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
				if len(test.files) == 0 && !errors.Is(err, identity.ErrNone) {
					t.Error(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(id.Public) != len(id.Recipients) {
				t.Error("as text", id.Public)
			}
			if got := opened(t, sealed(t, id.Recipients), ids); got != "sesame, open" {
				t.Errorf("opened as %q", got)
			}
			all, skipped, err := identity.All(w)
			if err != nil || skipped != nil {
				t.Fatal(err, skipped)
			}
			if got := opened(t, sealed(t, id.Recipients), all); got != "sesame, open" {
				t.Errorf("opened as %q by all", got)
			}
		})
	}
}

func sealed(t *testing.T, to []age.Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "sesame, open"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func opened(t *testing.T, data []byte, with []age.Identity) string {
	t.Helper()
	r, err := age.Decrypt(bytes.NewReader(data), with...)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEveryIdentityIsTried(t *testing.T) {
	x, _ := age.GenerateX25519Identity()
	private, public := keyPair(t, "")
	locked, lockedPublic := keyPair(t, "sesame")
	home := t.TempDir()
	for name, text := range map[string]string{
		".config/muster/identity": x.String(), ".ssh/id_ed25519": private, ".ssh/id_ed25519.pub": public, ".ssh/id_rsa": locked, ".ssh/id_rsa.pub": lockedPublic,
	} {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ids, skipped, err := identity.All(identity.Where{Home: home})
	if err != nil || len(ids) != 2 {
		t.Fatal(len(ids), err)
	}
	if skipped == nil || !strings.Contains(skipped.Error(), "id_rsa has a passphrase, and there is no terminal") {
		t.Error(skipped)
	}
	r, err := agessh.ParseRecipient(public)
	if err != nil {
		t.Fatal(err)
	}
	opened(t, sealed(t, []age.Recipient{r}), ids)
	opened(t, sealed(t, []age.Recipient{x.Recipient()}), ids)
	if _, _, err := identity.All(identity.Where{Home: t.TempDir()}); !errors.Is(err, identity.ErrNone) {
		t.Error(err)
	}
}

func TestAFileIsRenewedAndForgets(t *testing.T) {
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"as age-keygen writes it":       "# created: 2026-01-02T03:04:05Z\n# public key: " + plain.Recipient().String() + "\n" + plain.String() + "\n",
		"without a line break":          plain.String(),
		"a post-quantum one":            "# mine\n" + hybrid.String() + "\n",
		"two, with notes of the user's": "# mine\n" + plain.String() + "\n\n# in the safe\n" + hybrid.String() + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, link := filepath.Join(dir, "identity"), filepath.Join(dir, "link")
			if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Symlink("identity", link)); err != nil {
				t.Fatal(err)
			}
			f, err := identity.ReadFile(link)
			if err != nil {
				t.Fatal(err)
			}
			old := f.Current
			stale := *f
			if err := f.Renew(); err != nil {
				t.Fatal(err)
			}
			if len(f.Current) != 1 || strings.Join(f.Replaced, " ") != strings.Join(old, " ") || len(f.All()) != len(old)+1 {
				t.Errorf("%v stands in the place of %v, which were %v", f.Current, f.Replaced, old)
			}
			if strings.HasPrefix(old[len(old)-1], "age1pq1") != strings.HasPrefix(f.Newest(), "age1pq1") {
				t.Errorf("it is of another sort: %s", f.Newest())
			}
			// What is sealed from here on is sealed to the new one, and all open things.
			found, err := identity.Find(identity.Where{Named: link})
			if err != nil || strings.Join(found.Public, " ") != f.Newest() {
				t.Errorf("it is sealed to %v (%v)", found.Public, err)
			}
			if ids, err := found.Identities(); err != nil || len(ids) != len(old)+1 {
				t.Errorf("%d identities open it (%v)", len(ids), err)
			}
			if err := stale.Renew(); !errors.Is(err, identity.ErrMoved) {
				t.Errorf("somebody who read it before writes it: %v", err)
			}
			if err := f.Forget(); err != nil {
				t.Fatal(err)
			}
			after, err := os.ReadFile(path)
			if err != nil || len(f.Replaced) != 0 || len(f.All()) != 1 {
				t.Errorf("%v are left (%v)", f.All(), err)
			}
			for _, note := range []string{"# mine", "# in the safe", "# created"} {
				if strings.Contains(text, note) != strings.Contains(string(after), note) {
					t.Errorf("the note %q: %s", note, after)
				}
			}
			st, err := os.Stat(path)
			if err != nil || st.Mode() != 0o600 {
				t.Errorf("its mode is %v (%v)", st.Mode(), err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
				t.Errorf("%v is left behind (%v)", left, err)
			}
		})
	}
}

func TestAnSSHKeyIsNoFileOfIdentities(t *testing.T) {
	private, _ := keyPair(t, "")
	path := filepath.Join(t.TempDir(), "id_ed25519")
	if err := os.WriteFile(path, []byte(private), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := identity.Own(identity.Where{Named: path}); !errors.Is(err, identity.ErrSSH) {
		t.Errorf("%v", err)
	}
}
