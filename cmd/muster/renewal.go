package main

import (
	"errors"
	"fmt"
	"slices"

	"muster/internal/identity"
	"muster/internal/vault"
)

// renewal takes a store from the user's identity to another, which takes its place.
//
// The identity's file and the store tell how far it has come, so one that was cut off
// anywhere is gone on with, and no third identity is made:
//
//	nothing stands in the identity's place      one is made, beside it, in its file
//	the store isn't sealed to the new one       it is sealed to both, with a new data key
//	the new one alone opens every value         the old one is taken out, with another data key
//	the new one alone opens every value         it is over
//
// The old identity stays in its file: it opens other stores, and older versions of this one.
type renewal struct {
	store string // its path
	file  *identity.File
	// step, if not nil, is told each effect before it is made: tests end there.
	step func(what string) error
	say  func(text string)
}

// errRenewed says that a renewal is over. Trying again doesn't help.
var errRenewed = errors.New("the store is sealed to the new identity")

// of finds the recipient that has one of some keys; "" for none.
func (r *renewal) of(s *vault.Store, keys ...string) (name string, err error) {
	for _, to := range s.Recipients() {
		switch {
		case !slices.Contains(keys, to.Key):
		case name != "":
			return "", fmt.Errorf("%s is sealed to two identities of %s, %q and %q: take the block of one of them out of it and run \"muster secret rekey\" first", s.Path, r.file.Path, name, to.Name)
		default:
			name = to.Name
		}
	}
	return name, nil
}

// begun reports whether an identity was made that the store is to be taken to. Where the
// store has been it is errRenewed: what was replaced is to be forgotten before it is renewed again, so that
// whoever makes a renewal twice has one new identity.
func (r *renewal) begun(s *vault.Store) (bool, error) {
	if join, leave := s.Changed(); len(join)+len(leave) > 0 {
		return false, fmt.Errorf("%s: %w: \"muster secret rekey\" first", s.Path, vault.ErrRecipients)
	}
	old, err := r.of(s, r.file.Replaced...)
	if old != "" || err != nil {
		return true, err
	}
	now, err := r.of(s, r.file.Current...)
	switch {
	case err != nil:
		return false, err
	case now == "":
		return false, fmt.Errorf("%s isn't sealed to an identity of %s: there is nothing to renew", s.Path, r.file.Path)
	case len(r.file.Replaced) > 0:
		return false, errRenewed
	}
	return false, nil
}

// run takes the store to the new identity.
func (r *renewal) run() error {
	s, err := vault.Open(r.store, r.file.All()...)
	if err != nil {
		return err
	}
	begun, err := r.begun(s)
	if err != nil {
		return err
	}
	if !begun {
		if err := r.at("make the identity"); err != nil {
			return err
		}
		if err := r.file.Renew(); err != nil {
			return err
		}
		r.say("a new identity is in " + r.file.Path + ", beside the one in whose place it stands")
	}
	name, err := r.of(s, r.file.Replaced...)
	if err != nil {
		return err
	}
	to := r.file.Newest()
	if other, _ := r.of(s, to); other == "" {
		if err := r.seal("seal to both", nil, func(s *vault.Store) error { return s.Join(name+" (renewed)", to) }); err != nil {
			return err
		}
		r.say("the store is sealed to both")
	}
	if err := r.proved(); err != nil {
		return err
	}
	if err := r.seal("seal to the new one", []string{name}, func(s *vault.Store) error {
		other, err := r.of(s, to)
		if err != nil {
			return err
		}
		return errors.Join(s.Part(other), s.Move(name, to))
	}); err != nil {
		return err
	}
	return r.proved()
}

func (r *renewal) at(what string) error {
	if r.step == nil {
		return nil
	}
	return r.step(what)
}

// seal edits the store's recipients, and seals it to them.
func (r *renewal) seal(what string, moved []string, edit func(*vault.Store) error) error {
	if err := r.at(what); err != nil {
		return err
	}
	return vault.Update(r.store, r.file.All(), func(s *vault.Store) error {
		if _, err := r.begun(s); err != nil { // somebody else has edited it meanwhile
			return err
		}
		if err := edit(s); err != nil {
			return err
		}
		_, err := s.Rekey(moved...)
		return err
	})
}

// proved opens every value with the new identity alone.
func (r *renewal) proved() error {
	s, err := vault.Open(r.store, r.file.Identity(r.file.Newest()))
	if err == nil {
		_, err = s.Check(vault.Today(), nil)
	}
	if err != nil {
		return fmt.Errorf("the new identity %s doesn't open the store: %w", r.file.Newest(), err)
	}
	return nil
}
