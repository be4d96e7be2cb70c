package vault_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"muster/internal/vault"
	"muster/secret"
)

func TestOfALinkWhatItLeadsToIsWritten(t *testing.T) {
	ann := newPerson(t, "ann")
	base, ours, theirs := forked(t, ann, "a=the first value")
	link := filepath.Join(t.TempDir(), "link.hcl")
	if err := os.Symlink(ours, link); err != nil {
		t.Fatal(err)
	}
	set(t, link, ann, "b=another value")
	set(t, theirs, ann, "c=a third value")
	side := func(path string) vault.Side { return vault.Side{Name: path, Src: content(t, path)} }
	if _, err := vault.MergeInto(link, "ours", side(base), side(theirs), vault.MergeOptions{Identities: identities(ann)}); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(link); err != nil || to != ours {
		t.Errorf("the link is %q now, %v", to, err)
	}
	s := open(t, ours, ann)
	if value(t, s, "b") != "another value" || value(t, s, "c") != "a third value" {
		t.Error(s.Names())
	}
	if err := vault.Create(link, []vault.Recipient{ann.Recipient}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a store is made over a link: %v", err)
	}
}

// TestAMergeLosesNoEdit merges sides into a store while others set values in it.
func TestAMergeLosesNoEdit(t *testing.T) {
	ann := newPerson(t, "ann")
	base, ours, _ := forked(t, ann, "a=the first value")
	var wg sync.WaitGroup
	const n = 5
	for i := range n {
		theirs := filepath.Join(t.TempDir(), "theirs.hcl")
		if err := os.WriteFile(theirs, content(t, base), 0o644); err != nil {
			t.Fatal(err)
		}
		set(t, theirs, ann, fmt.Sprintf("merged/%d=value of %d", i, i))
		from := vault.Side{Name: "theirs", Src: content(t, theirs)}
		was := vault.Side{Name: "base", Src: content(t, base)}
		wg.Go(func() { set(t, ours, ann, fmt.Sprintf("set/%d=value of %d", i, i)) })
		wg.Go(func() {
			if _, err := vault.MergeInto(ours, "ours", was, from, vault.MergeOptions{Identities: identities(ann)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := open(t, ours, ann).Names(); len(got) != 1+2*n {
		t.Errorf("%d of %d are left: %v", len(got), 1+2*n, got)
	}
}

func TestAStoreInAFolderThatCantBeWrittenIsReadAndLeft(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it becomes another user")
	}
	ann := newPerson(t, "ann")
	dir, err := os.MkdirTemp("/tmp", "muster-vault-") // which others can come to
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "production.hcl")
	if err := errors.Join(os.Chmod(dir, 0o755), vault.Create(path, []vault.Recipient{ann.Recipient})); err != nil {
		t.Fatal(err)
	}
	set(t, path, ann, "a=the first value")
	before := content(t, path)
	done := make(chan struct{})
	go func() { // its thread ends with it: that is another user's
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Setfsuid(65534); err != nil {
			t.Error(err)
			return
		}
		if s, err := vault.Open(path, ann.identity); err != nil || value(t, s, "a") != "the first value" {
			t.Errorf("it can't be read: %v", err)
		}
		err := vault.Update(path, identities(ann), func(s *vault.Store) error {
			_, err := s.Set("a", secret.New("another value"))
			return err
		})
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "writing the store") {
			t.Errorf("it was written, or that isn't said: %v", err)
		}
	}()
	<-done
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 || !bytes.Equal(before, content(t, path)) {
		t.Errorf("it isn't as it was: %v %v", list, err)
	}
}

func TestAStoreWithCarriageReturnsIsOneLikeAnyOther(t *testing.T) {
	ann := newPerson(t, "ann")
	path := newStore(t, ann, "a=the first value", "b=another value", "c=two\nlines")
	edit(t, path, `secret "b"`, "# of b\nsecret \"b\"")
	if err := os.WriteFile(path, bytes.ReplaceAll(content(t, path), []byte("\n"), []byte("\r\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	before := content(t, path)
	set(t, path, ann, "a=the first value")
	if !bytes.Equal(before, content(t, path)) {
		t.Error("an edit without a change has changed it")
	}
	set(t, path, ann, "b=a second value", "d=a new one")
	update(t, path, ann, func(s *vault.Store) error { return s.Remove("a") })
	update(t, path, ann, rekey)
	s := open(t, path, ann)
	if got := strings.Join(s.Names(), " "); got != "b c d" || value(t, s, "b") != "a second value" || value(t, s, "c") != "two\nlines" || value(t, s, "d") != "a new one" {
		t.Errorf("%s: %q %q", got, value(t, s, "b"), value(t, s, "c"))
	}
	if !bytes.Contains(content(t, path), []byte("# of b\r\n")) {
		t.Errorf("the comment is lost:\n%s", content(t, path))
	}
}

// TestAnSSHKeyWithAPassphraseOpensAStore, which is asked for once, and for the key that fits.
func TestAnSSHKeyWithAPassphraseOpensAStore(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("sesame"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	bob, err := vault.NewRecipient("bob", string(ssh.MarshalAuthorizedKey(key)))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "production.hcl")
	if err := vault.Create(path, []vault.Recipient{bob}); err != nil {
		t.Fatal(err)
	}
	for passphrase, opens := range map[string]bool{"sesame": true, "wrong": false} {
		asked := 0
		id, err := agessh.NewEncryptedSSHIdentity(key, pem.EncodeToMemory(block), func() ([]byte, error) { asked++; return []byte(passphrase), nil })
		if err != nil {
			t.Fatal(err)
		}
		err = vault.Update(path, []age.Identity{newPerson(t, "eve").identity, id}, func(s *vault.Store) error {
			_, err := s.Set("a", secret.New("the first value"))
			return err
		})
		if (err == nil) != opens || asked != 1 {
			t.Errorf("with %q: asked %d times, %v", passphrase, asked, err)
		}
	}
}
