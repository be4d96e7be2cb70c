package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"muster/internal/keypair"
	"muster/internal/keypair/sshkey"
	"muster/internal/lang/plays"
	"muster/internal/vault"
	"muster/modules"
	"muster/secret"
)

func newSecretGenerate(a *app) *cobra.Command {
	var d described
	var p vault.Policy
	var g plays.Generate
	kind := string(plays.Password)
	cmd := &cobra.Command{
		Use:   "generate NAME",
		Short: "Give a secret a random value",
		Long: "Generate makes a random value and seals it. It is shown nowhere; \"muster secret get\" shows it.\n\n" +
			"A password is made of characters. Of each class of --characters at least one is in it; symbols are - _ . ~, which need no quoting in shells, URLs and configuration files.\n\n" +
			"An ssh_key is an Ed25519 key as ssh-keygen writes it, without a passphrase. A certificate is one with its key (ECDSA on P-256) behind it, as one PEM text: signed by its own key, or by the authority whose certificate and key are the secret --ca. " +
			"Playbooks take these values apart by the functions ssh_public_key, certificate_chain and certificate_key.",
		Example: "  muster secret generate mysql/replication --length 32\n  muster secret generate session/key --characters hex --length 64\n" +
			"  muster secret generate ssh/deploy --type ssh_key --comment deploy@shop\n" +
			"  muster secret generate tls/ca --type certificate --authority --common-name 'Shop CA' --days 3650\n" +
			"  muster secret generate tls/site --type certificate --names www.example.com --days 90 --ca tls/ca",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g.Type = plays.ValueType(kind)
			if err := fits(cmd, g.Type); err != nil {
				return err
			}
			if g.CA != "" && g.CA == args[0] {
				return fmt.Errorf("%s can't sign itself: a certificate that is signed by its own key has no --ca", g.CA)
			}
			value, err := a.newValue(g, p, args[0])
			if err != nil {
				return err
			}
			return a.setValue(cmd, args[0], value, &d)
		},
	}
	d.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&kind, "type", kind, "a value of this `TYPE`: password, ssh_key, certificate")
	f.IntVar(&p.Length, "length", 32, "of `N` characters")
	f.Var(names{&p.Classes}, "characters", "of these `CLASSES`: lower, upper, digits, symbols, hex (default: lower,upper,digits)")
	f.StringVar(&p.From, "from", "", "of exactly these `CHARACTERS`")
	f.StringVar(&g.Comment, "comment", "", "the SSH key's comment, a `TEXT` (default: the secret's name)")
	f.StringVar(&g.CommonName, "common-name", "", "the certificate's common name, a `TEXT` (default: the first of its names)")
	f.Var(names{&g.Names}, "names", "the certificate is for these `NAMES`, host names and IP addresses")
	f.IntVar(&g.Days, "days", keypair.DefaultDays, "the certificate is good for `N` days")
	f.BoolVar(&g.Authority, "authority", false, "the certificate is an authority's, which signs others")
	f.StringVar(&g.CA, "ca", "", "signed by the authority whose certificate and key are the `SECRET`")
	cmd.MarkFlagsMutuallyExclusive("characters", "from")
	return cmd
}

// fits checks that the flags given are those of a type of value.
func fits(cmd *cobra.Command, t plays.ValueType) error {
	if !slices.Contains(plays.ValueTypes(), string(t)) {
		hint := "there are " + strings.Join(plays.ValueTypes(), ", ")
		if near := modules.Nearest(string(t), plays.ValueTypes()); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return fmt.Errorf("--type %s: %s", t, hint)
	}
	of := map[string]plays.ValueType{"from": plays.Password}
	for _, name := range plays.ValueTypes() {
		for _, option := range plays.ValueType(name).Options() {
			of[strings.ReplaceAll(option, "_", "-")] = plays.ValueType(name)
		}
	}
	var errs []error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if other, ok := of[f.Name]; ok && other != t {
			errs = append(errs, fmt.Errorf("--%s is of --type %s, and this is of --type %s", f.Name, other, t))
		}
	})
	return errors.Join(errs...)
}

// newValue makes a value of a secret. The authority that signs a certificate is read
// from the store.
func (a *app) newValue(g plays.Generate, p vault.Policy, name string) (secret.String, error) {
	var open *vault.Store
	if g.CA != "" {
		s, err := a.openStore()
		if err != nil {
			return secret.String{}, err
		}
		open = s
	}
	return valueFrom(open, g, p, name)
}

// valueFrom makes a value of a secret; s is the open store, where the value needs one.
func valueFrom(s *vault.Store, g plays.Generate, p vault.Policy, name string) (secret.String, error) {
	switch g.Type {
	case plays.SSHKey:
		return sshkey.New(cmp.Or(g.Comment, name))
	case plays.CertificateKey:
		r := g.Request()
		if g.CA != "" {
			ca, err := s.Get(g.CA)
			if err != nil {
				return secret.String{}, found(s, g.CA, err)
			}
			r.Issuer = ca.Current.Value
		}
		value, err := keypair.Certificate(r, time.Now())
		if err != nil {
			return value, fmt.Errorf("%s: %w", name, err)
		}
		return value, nil
	}
	return vault.Generate(p)
}
