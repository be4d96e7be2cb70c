package cli

import (
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"muster/internal/identity"
	"muster/internal/vault"
	"muster/secret"
)

// cmdVersions does to a store what the steps of a rotation do: versions STORE NAME
// pending VALUE, promote, retire or drop.
func cmdVersions(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: versions STORE NAME pending VALUE|promote|retire|drop")
	}
	ids, _, err := identity.All(identity.Where{Home: ts.Getenv("HOME")})
	ts.Check(err)
	ts.Check(vault.Update(filepath.Clean(ts.MkAbs(args[0])), ids, func(s *vault.Store) error {
		switch args[2] {
		case "pending":
			_, err := s.SetPending(args[1], secret.New(args[3]))
			return err
		case "promote":
			return s.Promote(args[1])
		case "retire":
			return s.Retire(args[1])
		}
		return s.DropPending(args[1])
	}))
}
