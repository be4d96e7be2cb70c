package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"muster/internal/identity"
	"muster/internal/vault"
)

func newSecretIdentity(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "identity",
		Short: "Show the identity that opens stores, and renew it",
		Long: "Identity shows the file of the user's identity, its public keys, and which of them the store is sealed to. " +
			"Renew makes another, and seals the store to it; forget takes out of the file what another has taken the place of.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.showIdentity() },
	}
	cmd.AddCommand(newIdentityRenew(a), newIdentityForget(a))
	return cmd
}

// ownFile is the user's file of identities.
func (a *app) ownFile() (*identity.File, error) {
	w, err := a.where()
	if err != nil {
		return nil, err
	}
	return identity.Own(w)
}

func (a *app) showIdentity() error {
	f, err := a.ownFile()
	if err != nil {
		return err
	}
	s, err := a.readStore()
	if err != nil {
		return err
	}
	fmt.Fprintln(a.out, f.Path)
	for _, key := range slices.Concat(f.Replaced, f.Current) {
		what := "the store isn't sealed to it"
		for _, r := range s.Recipients() {
			if r.Key == key {
				what = "the recipient " + recipientNames([]vault.Recipient{r})
			}
		}
		if slices.Contains(f.Replaced, key) {
			what += "; another has taken its place"
		}
		fmt.Fprintf(a.out, "  %s  %s\n", key, what)
	}
	return nil
}

func newIdentityRenew(a *app) *cobra.Command {
	yes := false
	cmd := &cobra.Command{
		Use:   "renew",
		Short: "Make another identity, and seal the store to it",
		Long: "Renew makes an identity in the place of the one that the user has, adds it as a recipient, and seals the store anew to both. " +
			"Once the new one alone opens every value, the old one is taken out, and the store is sealed with yet another data key.\n\n" +
			"A renewal that was cut off is gone on with by the same command; no third identity is made. " +
			"The old identity stays in its file, for other stores and for older versions of this one: run renew for each store (--store), commit them, and then \"muster secret identity forget\".\n\n" +
			"Whoever has the old identity has what it has opened: where it may have got into somebody's hands, set the secrets anew as well.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.renewIdentity(yes) },
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	return cmd
}

func (a *app) renewIdentity(yes bool) error {
	path, err := a.store()
	if err != nil {
		return err
	}
	f, err := a.ownFile()
	if err != nil {
		return err
	}
	s, err := vault.Open(path, f.All()...)
	if err != nil {
		return a.storeError(err, path, nil)
	}
	r := &renewal{store: path, file: f, say: func(text string) { fmt.Fprintln(a.err, text) }}
	begun, err := r.begun(s)
	switch {
	case errors.Is(err, errRenewed):
		fmt.Fprintf(a.out, "%s is sealed to the new identity already. Once no other store needs the one before, \"muster secret identity forget\" takes it out of %s; then another can be made.\n", path, f.Path)
		return nil
	case err != nil:
		return err
	case begun:
		fmt.Fprintf(a.out, "A new identity is in %s already; %s is still sealed to the one before.\n", f.Path, path)
	}
	if !yes {
		ok, err := a.ask(context.Background(), fmt.Sprintf("Seal %s to a new identity, and no more to the old one?", path))
		if err != nil {
			return err
		}
		if !ok {
			return exitError(exitUsage)
		}
	}
	if err := r.run(); err != nil {
		return a.storeError(err, path, nil)
	}
	fmt.Fprintf(a.out, "%s is sealed to %s, and no more to the identity of before; commit it.\nKeep a copy of %s in a safe place. The old identity stays in it, for other stores and older versions of this one: \"muster secret identity forget\" takes it out.\n", path, f.Newest(), f.Path)
	return nil
}

func newIdentityForget(a *app) *cobra.Command {
	yes := false
	cmd := &cobra.Command{
		Use:   "forget",
		Short: "Take out of the identity's file what another has taken the place of",
		Long: "Forget takes the identities out of the user's file in whose place another stands. The store has to be sealed to none of them, and opened by the other. " +
			"What only they open, such as another store or an older version in git, nobody reads with this file any more.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.forgetIdentity(yes) },
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	return cmd
}

func (a *app) forgetIdentity(yes bool) error {
	path, err := a.store()
	if err != nil {
		return err
	}
	f, err := a.ownFile()
	if err != nil {
		return err
	}
	if len(f.Replaced) == 0 {
		fmt.Fprintf(a.out, "Nothing in %s has been replaced.\n", f.Path)
		return nil
	}
	r := &renewal{store: path, file: f}
	s, err := vault.Open(path, f.All()...)
	if err != nil {
		return a.storeError(err, path, nil)
	}
	if begun, err := r.begun(s); begun || err != nil && !errors.Is(err, errRenewed) {
		return errors.Join(err, fmt.Errorf("%s is still sealed to an identity that is to be forgotten: \"muster secret identity renew\" first", path))
	}
	if err := r.proved(); err != nil {
		return err
	}
	for _, key := range f.Replaced {
		fmt.Fprintf(a.out, "forgets: %s\n", key)
	}
	if !yes {
		ok, err := a.ask(context.Background(), "Is no other store sealed to what is forgotten?")
		if err != nil {
			return err
		}
		if !ok {
			return exitError(exitUsage)
		}
	}
	if err := f.Forget(); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s has %s, and no other.\n", f.Path, f.Newest())
	return nil
}
