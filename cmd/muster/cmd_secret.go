package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"muster/internal/identity"
	"muster/internal/project"
	"muster/internal/vault"
	"muster/internal/view"
	"muster/modules"
	"muster/secret"
)

func newSecret(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "secret", Short: "Keep secrets in a sealed file of the repository", Args: cobra.NoArgs,
		Long: "Secret keeps a team's secrets in a file that belongs into the repository: names and dates in clear, values sealed to the recipients. " +
			"The project's store is the one that muster.hcl names (secrets = \"secrets/production.hcl\"), another is named by --store.\n\n" +
			"A playbook reads a secret as secret[\"NAME\"]. docs/secrets.md begins at the beginning.",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSecretInit(a), newSecretSet(a), newSecretGenerate(a), newSecretDescribe(a), newSecretGet(a), newSecretList(a),
		newSecretEdit(a), newSecretRemove(a), newSecretRekey(a), newSecretIdentity(a), newSecretCheck(a), newSecretMerge(a), newSecretTextconv(a))
	return cmd
}

// store is the path of the store that a command is about.
func (a *app) store() (string, error) {
	if err := a.checkFlags(); err != nil {
		return "", err
	}
	p, diags := project.Find(".")
	if a.storeFile == "" && diags.HasErrors() {
		return "", a.fail(diags, map[string][]byte{p.Name: p.Source})
	}
	path := a.storePath(p)
	if path == "" {
		return "", errors.New("there is no store here: muster.hcl doesn't name one (secrets = \"secrets/production.hcl\"), and --store isn't given; \"muster secret init\" makes one")
	}
	return path, nil
}

// readStore reads what the store says in clear.
func (a *app) readStore() (*vault.Store, error) {
	path, err := a.store()
	if err != nil {
		return nil, err
	}
	s, err := vault.Read(path)
	return s, a.storeError(err, path, nil)
}

// unlock opens a store that was read.
func (a *app) unlock(s *vault.Store) error {
	u := &used{app: a, store: s}
	return a.storeError(u.unlock(), s.Path, nil)
}

// openStore opens the store for reading.
func (a *app) openStore() (*vault.Store, error) {
	s, err := a.readStore()
	if err != nil {
		return nil, err
	}
	return s, a.unlock(s)
}

// update edits the store.
func (a *app) update(edit func(*vault.Store) error) error {
	path, err := a.store()
	if err != nil {
		return err
	}
	ids, skipped, err := a.identities()
	if err != nil && !errors.Is(err, identity.ErrNone) {
		return err
	}
	err = vault.Update(path, ids, edit)
	var wrong *vault.WrongKeyError
	switch {
	case errors.As(err, &wrong) && skipped != nil:
		a.view().Warn(skipped.Error())
	case errors.Is(err, vault.ErrRecipients):
		return fmt.Errorf("the recipients in %s have changed since it was sealed, and nothing is sealed to the old ones: \"muster secret rekey\" first", path)
	case errors.Is(err, vault.ErrOpen):
		return fmt.Errorf("%w: it has to be over before the value can be set by hand", err)
	}
	return a.storeError(err, path, nil)
}

// unknownSecret says which name was probably meant.
func unknownSecret(s *vault.Store, name string) error {
	near := ""
	if n := modules.Nearest(name, s.Names()); n != "" {
		near = fmt.Sprintf(": did you mean %s?", n)
	}
	return fmt.Errorf("the store has no secret %q%s", name, near)
}

// found is unknownSecret where the error is that, and else the error.
func found(s *vault.Store, name string, err error) error {
	if errors.Is(err, vault.ErrNotFound) {
		return unknownSecret(s, name)
	}
	return err
}

// did says what became of a secret.
func (a *app) did(action, name string, version int, text string) error {
	if a.output == "json" {
		a.view() // the stream begins with its version
		return view.NewEncoder(a.out).Encode(struct {
			Type    string `json:"type"`
			Action  string `json:"action"`
			Name    string `json:"name"`
			Version int    `json:"version,omitempty"`
		}{"secret", action, name, version})
	}
	_, err := fmt.Fprintln(a.out, view.CleanLine(text))
	return err
}

// described are the flags that say something of a secret.
type described struct {
	description, owner, every, due string
}

func (d *described) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&d.description, "description", "", "`TEXT` that says what it is for")
	f.StringVar(&d.owner, "owner", "", "`WHO` is asked about it")
	f.StringVar(&d.every, "every", "", "rotated every `TIME`: 30d, 12w; \"never\" takes it back")
	f.StringVar(&d.due, "due", "", "to be rotated by `DATE`: 2026-11-28; \"never\" takes it back")
}

// apply puts the flags that are given into a secret.
func (d *described) apply(cmd *cobra.Command, s *vault.Store, name string) error {
	i, ok := s.Info(name)
	if !ok {
		return unknownSecret(s, name)
	}
	m := i.Meta
	f := cmd.Flags()
	if f.Changed("description") {
		m.Description = d.description
	}
	if f.Changed("owner") {
		m.Owner = d.owner
	}
	if f.Changed("every") {
		m.Every = strings.TrimSuffix(d.every, "never")
	}
	if f.Changed("due") {
		m.Due = ""
		if d.due != "never" {
			date, err := vault.ParseDate(d.due)
			if err != nil {
				return fmt.Errorf("--due: %w", err)
			}
			m.Due = date
		}
	}
	return s.Describe(name, m)
}

func newSecretSet(a *app) *cobra.Command {
	var d described
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Give a secret a value, or add it",
		Long: "Set reads a value from standard input and seals it; at a terminal it asks for it, twice, and shows nothing of it. " +
			"One line break at the end is no part of the value. The value is text, of up to 64 KiB.\n\n" +
			"The value from before isn't kept in the store.",
		Example: "  muster secret set mysql/app --owner shop --every 30d\n  muster secret set tls/key < key.pem",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := a.store(); err != nil {
				return err
			}
			if err := vault.ValidName(args[0]); err != nil {
				return err
			}
			value, err := a.readValue(args[0])
			if err != nil {
				return err
			}
			return a.setValue(cmd, args[0], value, &d)
		},
	}
	d.flags(cmd)
	return cmd
}

// setValue sets a value, and says so.
func (a *app) setValue(cmd *cobra.Command, name string, value secret.String, d *described) error {
	changed, number := false, 0
	err := a.update(func(s *vault.Store) (err error) {
		if changed, err = s.Set(name, value); err != nil {
			return err
		}
		i, _ := s.Info(name)
		number = i.Current
		return d.apply(cmd, s, name)
	})
	if err != nil {
		return err
	}
	a.warnOfValue(cmd.Context(), name, value)
	if !changed {
		return a.did("unchanged", name, number, fmt.Sprintf("%s has this value already (version %d).", name, number))
	}
	return a.did("set", name, number, fmt.Sprintf("%s has a value: version %d.", name, number))
}

// warnOfValue says what is weak about a value that was set.
func (a *app) warnOfValue(ctx context.Context, name string, value secret.String) {
	if why := vault.Weak(value, a.projectNames(ctx)[value.Reveal()]); why != "" {
		a.view().Warn("the value of " + name + " " + why)
	}
}

// readValue reads a value from standard input, or asks for it.
func (a *app) readValue(name string) (secret.String, error) {
	if !term.IsTerminal(int(a.in.Fd())) {
		data, err := io.ReadAll(io.LimitReader(a.in, vault.MaxValue+3))
		if err != nil {
			return secret.String{}, fmt.Errorf("reading the value: %w", err)
		}
		text := strings.TrimSuffix(string(data), "\n")
		value := secret.New(strings.TrimSuffix(text, "\r"))
		return value, vault.CheckValue(value)
	}
	first, err := a.askHidden("value of " + name + ": ")
	if err != nil {
		return secret.String{}, fmt.Errorf("reading the value: %w", err)
	}
	second, err := a.askHidden("once more: ")
	if err != nil {
		return secret.String{}, fmt.Errorf("reading the value: %w", err)
	}
	if string(first) != string(second) {
		return secret.String{}, errors.New("the two values differ: nothing is set")
	}
	value := secret.New(string(first))
	return value, vault.CheckValue(value)
}

func newSecretDescribe(a *app) *cobra.Command {
	var d described
	cmd := &cobra.Command{
		Use:     "describe NAME",
		Short:   "Change what is said of a secret",
		Long:    "Describe changes what the store says of a secret in clear: what it is for, who owns it, and when it is to be rotated.",
		Example: "  muster secret describe mysql/app --owner shop --every 30d",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.update(func(s *vault.Store) error { return d.apply(cmd, s, args[0]) }); err != nil {
				return err
			}
			return a.did("described", args[0], 0, args[0]+" is described.")
		},
	}
	d.flags(cmd)
	return cmd
}

func newSecretRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Take a secret out of the store",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.update(func(s *vault.Store) error { return found(s, args[0], s.Remove(args[0])) }); err != nil {
				return err
			}
			return a.did("removed", args[0], 0, args[0]+" is removed.")
		},
	}
}
