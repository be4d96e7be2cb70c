package vault_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"muster/internal/vault"
	"muster/secret"
)

// person is somebody with a key.
type person struct {
	vault.Recipient
	identity age.Identity
}

func newPerson(t testing.TB, name string) person {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	r, err := vault.NewRecipient(name, id.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	return person{r, id}
}

// newStore makes a store with values, as the file that it is.
func newStore(t testing.TB, ann person, values ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secrets", "production.hcl")
	if err := vault.Create(path, []vault.Recipient{ann.Recipient}); err != nil {
		t.Fatal(err)
	}
	set(t, path, ann, values...)
	return path
}

// set sets values, written NAME=VALUE.
func set(t testing.TB, path string, by person, values ...string) {
	t.Helper()
	update(t, path, by, func(s *vault.Store) error {
		for _, v := range values {
			name, value, _ := strings.Cut(v, "=")
			if _, err := s.Set(name, secret.New(value)); err != nil {
				return err
			}
		}
		return nil
	})
}

func update(t testing.TB, path string, by person, edit func(*vault.Store) error) {
	t.Helper()
	if err := vault.Update(path, []age.Identity{by.identity}, edit); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, path string, by person) *vault.Store {
	t.Helper()
	s, err := vault.Open(path, by.identity)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func value(t testing.TB, s *vault.Store, name string) string {
	t.Helper()
	v, err := s.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	return v.Current.Value.Reveal()
}

func content(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWhatIsSetIsThere(t *testing.T) {
	ann := newPerson(t, "ann")
	path := newStore(t, ann, "mysql/app=hunter2hunter2", "tls/key=-----BEGIN\nkey\n-----END\n", "odd=é \" \\ ${x} %{y}")
	s := open(t, path, ann)
	for name, want := range map[string]string{"mysql/app": "hunter2hunter2", "tls/key": "-----BEGIN\nkey\n-----END\n", "odd": "é \" \\ ${x} %{y}"} {
		if got := value(t, s, name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	data := content(t, path)
	for _, hidden := range []string{"hunter2", "BEGIN"} {
		if bytes.Contains(data, []byte(hidden)) {
			t.Errorf("%s stands in clear", hidden)
		}
	}
	for _, clear := range []string{`secret "mysql/app" {`, ann.Key} {
		if !bytes.Contains(data, []byte(clear)) {
			t.Errorf("%s doesn't stand in clear", clear)
		}
	}
}

func identities(list ...person) []age.Identity {
	var ids []age.Identity
	for _, p := range list {
		ids = append(ids, p.identity)
	}
	return ids
}
