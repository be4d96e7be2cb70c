package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/spf13/cobra"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/identity"
	"muster/internal/project"
	"muster/internal/vault"
)

func newSecretInit(a *app) *cobra.Command {
	var recipients []string
	git := false
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a store, and an identity where there is none",
		Long: "Init makes the project's store, sealed to the user's identity and to those that --recipient names. Where muster.hcl names no store, it is secrets/production.hcl, and muster.hcl names it from then on. " +
			"Where the user has no identity, it makes one: ~/.config/muster/identity, or the file that MUSTER_IDENTITY names.\n\n" +
			"With --git it also sets up git, so that stores are merged by name and shown without values. That part can be run in a project whose store is there, as everybody who clones it has to.",
		Example: "  muster secret init --git\n  muster secret init --recipient 'bob=ssh-ed25519 AAAA…'",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := a.checkFlags(); err != nil {
				return err
			}
			return a.initStore(recipients, git)
		},
	}
	cmd.Flags().StringArrayVar(&recipients, "recipient", nil, "also sealed to `NAME=KEY`, a public key of age or SSH")
	cmd.Flags().BoolVar(&git, "git", false, "set up git's merge driver and diff")
	return cmd
}

func (a *app) initStore(others []string, git bool) error {
	p, diags := project.Find(".")
	if err := a.fail(diags, map[string][]byte{p.Name: p.Source}); err != nil {
		return err
	}
	path, name := a.storePath(p), false
	if path == "" {
		if p.Dir == "" {
			return errors.New("there is no project here (no muster.hcl in this folder or above): give --store, or begin with \"muster init\"")
		}
		path, name = near(filepath.Join(p.Dir, "secrets", "production.hcl")), true
	}
	if !missing(path) {
		if !git {
			return fmt.Errorf("%s is there already", path)
		}
		return a.setUpGit(path, true)
	}
	to, err := a.recipients(others)
	if err != nil {
		return err
	}
	if err := vault.Create(path, to); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "Made the store %s, sealed to %s.\n", path, recipientNames(to))
	if name {
		if err := nameStore(p); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s names it from here on.\n", p.Name)
	}
	if err := a.setUpGit(path, git); err != nil {
		return err
	}
	fmt.Fprint(a.out, "A first secret:\n  muster secret set mysql/app\nIn playbooks it is secret[\"mysql/app\"].\n")
	return nil
}

// recipients are the user, whose identity is made where there is none, and others.
func (a *app) recipients(others []string) ([]vault.Recipient, error) {
	me := "me"
	if u, err := user.Current(); err == nil {
		me = u.Username
	}
	var list []vault.Recipient
	for _, text := range others { // before anything is made
		name, key, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("--recipient takes NAME=KEY, not %q", text)
		}
		r, err := vault.NewRecipient(name, key)
		if err != nil {
			return nil, fmt.Errorf("--recipient: %w", err)
		}
		list = append(list, r)
	}
	public, err := a.ownKeys()
	if err != nil {
		return nil, err
	}
	var own []vault.Recipient
	for i, key := range public {
		name := me
		if i > 0 {
			name = fmt.Sprintf("%s %d", me, i+1)
		}
		r, err := vault.NewRecipient(name, key)
		if err != nil {
			return nil, err
		}
		own = append(own, r)
	}
	return append(own, list...), nil
}

// ownKeys are the public keys of the user's identity, which is made where there is none.
func (a *app) ownKeys() ([]string, error) {
	w, err := a.where()
	if err != nil {
		return nil, err
	}
	id, err := identity.Find(w)
	if err == nil {
		return id.Public, nil
	}
	if !errors.Is(err, identity.ErrNone) && (w.Named == "" || !missing(w.Named)) {
		return nil, err
	}
	path := w.Named
	if path == "" {
		path = filepath.Join(w.Home, ".config", "muster", "identity")
	}
	made, err := identity.New()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making an identity: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making an identity: %w", err)
	}
	_, err = f.WriteString(made)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("making an identity: %w", err)
	}
	fmt.Fprintf(a.out, "Made an identity for you: %s\nKeep a copy of it in a safe place: without it nobody opens what is sealed to you alone.\n", path)
	own, err := identity.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return own.Current, nil
}

// nameStore adds the new store to muster.hcl.
func nameStore(p *project.Project) error {
	path := filepath.Join(p.Dir, project.File)
	f, diags := hclwrite.ParseConfig(p.Source, p.Name, hcl.InitialPos)
	if diags.HasErrors() {
		return diags
	}
	f.Body().SetAttributeValue("secrets", cty.StringVal("secrets/production.hcl"))
	out := f.Bytes()
	if bytes.Equal(hclwrite.Format(p.Source), p.Source) {
		out = hclwrite.Format(out)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return replaceFile(path, out, info)
}
