package vault_test

import (
	"fmt"
	"testing"

	"filippo.io/age"

	"muster/internal/vault"
	"muster/secret"
)

// large is a store of 1,000 secrets.
func large(b *testing.B) (path string, ann person) {
	b.Helper()
	ann = newPerson(b, "ann")
	path = newStore(b, ann)
	update(b, path, ann, func(s *vault.Store) error {
		for i := range 1000 {
			name := fmt.Sprintf("service-%d/password", i)
			if _, err := s.Set(name, secret.New(fmt.Sprintf("the password of %d", i))); err != nil {
				return err
			}
			if err := s.Describe(name, vault.Meta{Description: "what it is for", Owner: "somebody", Every: "90d"}); err != nil {
				return err
			}
		}
		return nil
	})
	return path, ann
}

func BenchmarkGet(b *testing.B) {
	path, ann := large(b)
	for b.Loop() {
		value(b, open(b, path, ann), "service-500/password")
	}
}

func BenchmarkCheck(b *testing.B) {
	path, ann := large(b)
	for b.Loop() {
		if _, err := open(b, path, ann).Check(vault.Today(), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNames(b *testing.B) {
	path, _ := large(b)
	for b.Loop() {
		if _, err := vault.Read(path); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSet(b *testing.B) {
	path, ann := large(b)
	i := 0
	for b.Loop() {
		i++
		if err := vault.Update(path, []age.Identity{ann.identity}, func(s *vault.Store) error {
			_, err := s.Set("service-500/password", secret.New(fmt.Sprintf("another password %d", i)))
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
}
