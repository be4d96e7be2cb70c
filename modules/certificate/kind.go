package certificate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"muster/host"
	"muster/internal/keypair"
	"muster/modules"
	"muster/modules/file"
)

// Certificate is a certificate that the host shows, with its key.
//
// By default the host makes the key, which never leaves it, and signs the certificate
// with it. It makes another certificate where the names or the type of the key differ, where
// the key isn't the certificate's, and in time before it expires; the key stays, unless
// its type changes.
//
// With issuer = "project" an authority of the project has signed it, whose key stays on the controller:
// issued is the secret that a rotation or "muster secret generate --type certificate
// --ca tls/ca" has made, a certificate with its key. Its renewal is that secret's rotation.
//
// What uses the files is told by restart_on or reload_on of a "service" task.
type Certificate struct {
	// Where the certificate is, with those that lead up to its authority behind it.
	Path string `arg:"path,key,path,required"`
	// Where its key is. By default beside it, with the ending ".key". Its mode is 0600.
	Key string `arg:"key"`
	// Whose certificate it is. By default the first of its names.
	CommonName string `arg:"common_name"`
	// Host names and IP addresses that it is for: clients look at them alone.
	Names []string `arg:"names"`
	// "self": its own key signs it. "project": an authority of the project has.
	Issuer string `arg:"issuer" oneof:"self project" default:"self"`
	// The certificate with its key and what leads up to its authority, in one PEM text and
	// any order, with issuer = "project".
	Issued string `arg:"issued,sensitive"`
	// The type of a key that the host makes: "ecdsa" (P-256), "rsa" (3072 bits) or
	// "ed25519", which browsers don't take. By default the key that is there stays.
	KeyType string `arg:"key_type" oneof:"ecdsa rsa ed25519" means:"ecdsa"`
	// For how many days a certificate is made.
	Days *int `arg:"days" means:"90"`
	// How long before it expires the host makes another, or with issuer = "project" a note
	// says that it will. By default a third of its days.
	RenewBefore *modules.Duration `arg:"renew_before"`
	// The user who owns both files.
	Owner string `arg:"owner"`
	// The group that they belong to.
	Group string `arg:"group"`
}

const (
	certMode = host.Mode(0o644)
	keyMode  = host.Mode(0o600)
)

// Withhold hides the lines of what is sensitive.
func (c *Certificate) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "mode", "owner", "group")
}

func (c *Certificate) keyPath() string {
	if c.Key != "" {
		return c.Key
	}
	return strings.TrimSuffix(c.Path, filepath.Ext(c.Path)) + ".key"
}

func (c *Certificate) days() int {
	if c.Days != nil {
		return *c.Days
	}
	return keypair.DefaultDays
}

func (c *Certificate) renewBefore() time.Duration {
	if c.RenewBefore != nil {
		return time.Duration(*c.RenewBefore)
	}
	return time.Duration(c.days()) * 24 * time.Hour / 3
}

// May is both files.
func (c *Certificate) May() []host.Effect {
	key := ""
	if c.Path != "" {
		key = c.keyPath()
	}
	return []host.Effect{host.Open(host.Files, c.Path), host.Open(host.Files, key), host.Open(certificateSpace, c.Path)}
}

// Check refuses names that no certificate can be for, and a secret that isn't one for them.
func (c *Certificate) Check(unknown func(string) bool) []modules.ArgError {
	errs := file.CheckPath("path", c.Path, unknown)
	add := func(arg, path, summary, format string, a ...any) {
		errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: fmt.Sprintf(format, a...)})
	}
	if c.Key != "" {
		errs = append(errs, file.CheckPath("key", c.Key, unknown)...)
	}
	if !unknown("path") && !unknown("key") && c.keyPath() == c.Path {
		add("key", "", "Wrong value", "Certificate and key are two files: others read the one, and nobody the other.")
	}
	for i, name := range c.Names {
		if err := keypair.CheckName(name); err != nil && !(name == "" && unknown("names")) {
			add("names", fmt.Sprintf("[%d]", i), "Wrong value", "%s.", err)
		}
	}
	if c.CommonName != "" {
		if err := keypair.CheckCommonName(c.CommonName); err != nil {
			add("common_name", "", "Wrong value", "%s.", err)
		}
	}
	if c.Days != nil && !unknown("days") {
		if err := keypair.CheckDays(*c.Days); err != nil {
			add("days", "", "Wrong value", "%s.", err)
		}
	}
	if unknown("issuer") {
		return errs
	}
	if c.Issuer == "project" {
		if c.KeyType != "" || c.Days != nil {
			arg := "days"
			if c.KeyType != "" {
				arg = "key_type"
			}
			add(arg, "", "Conflicting arguments", `With issuer = "project" that is said where the secret is made ("generate" of its rotation).`)
		}
		return append(errs, c.checkIssued(unknown, time.Now())...)
	}
	switch {
	case c.Issued != "":
		add("issued", "", "Conflicting arguments", `A certificate that the project has made goes with issuer = "project".`)
	case len(c.Names) == 0 && !unknown("names"):
		add("names", "", "Missing argument", `It needs the names that it is for: names = ["www.example.com"].`)
	case !unknown("days") && !unknown("renew_before") && c.renewBefore() >= time.Duration(c.days())*24*time.Hour:
		add("renew_before", "", "Wrong value", "A certificate is made for %d days: made anew so long before its end, it would be in every run.", c.days())
	}
	return errs
}

func (c *Certificate) checkIssued(unknown func(string) bool, now time.Time) []modules.ArgError {
	if unknown("issued") {
		return nil
	}
	wrong := func(summary, detail string) []modules.ArgError {
		return []modules.ArgError{{Arg: "issued", Summary: summary, Detail: detail}}
	}
	if c.Issued == "" {
		return wrong("Missing argument", `It needs the certificate with its key: issued = secret["tls/www"].`)
	}
	chain, _, err := issued(c.Issued)
	if err != nil {
		return wrong("Wrong value", fmt.Sprintf("It can't be shown: %s.", err))
	}
	leaf := chain[0]
	if !now.Before(leaf.NotAfter) {
		return wrong("Certificate has expired", fmt.Sprintf("The certificate of %s was good until %s: rotate its secret.", named(leaf), day(leaf.NotAfter)))
	}
	var errs []modules.ArgError
	for i, name := range c.Names {
		if err := leaf.VerifyHostname(strings.Replace(name, "*.", "any.", 1)); err != nil && name != "" {
			errs = append(errs, modules.ArgError{Arg: "names", Path: fmt.Sprintf("[%d]", i), Summary: "Wrong name",
				Detail: fmt.Sprintf("The certificate isn't for %s: it is for %s.", name, strings.Join(namesOf(leaf), ", "))})
		}
	}
	if c.CommonName != "" && leaf.Subject.CommonName != c.CommonName {
		errs = append(errs, modules.ArgError{Arg: "common_name", Summary: "Wrong name", Detail: fmt.Sprintf("The certificate's is %q.", leaf.Subject.CommonName)})
	}
	return errs
}

// issued takes a text apart: the certificates, the key's own first and each followed by its issuer's, and
// the text of the key.
func issued(text string) ([]*x509.Certificate, string, error) {
	key, err := readKey(text)
	if err != nil {
		return nil, "", err
	}
	private, err := keypair.Key(text)
	if err != nil {
		return nil, "", err
	}
	public, err := keypair.Chain(text)
	if err != nil {
		return nil, "", err
	}
	rest, err := decode(public)
	if err != nil {
		return nil, "", err
	}
	var chain []*x509.Certificate
	next := func(is func(cert *x509.Certificate) bool) bool {
		for i, cert := range rest {
			if is(cert) {
				chain, rest = append(chain, cert), append(rest[:i:i], rest[i+1:]...)
				return true
			}
		}
		return false
	}
	if !next(func(cert *x509.Certificate) bool { return same(cert.PublicKey, key.Public()) }) {
		return nil, "", errors.New("its private key is that of none of its certificates")
	}
	for next(func(cert *x509.Certificate) bool { return chain[len(chain)-1].CheckSignatureFrom(cert) == nil }) {
	}
	if len(rest) > 0 {
		return nil, "", fmt.Errorf("the certificate of %s isn't among those that lead up from %s to its authority", named(rest[0]), named(chain[0]))
	}
	return chain, private, nil
}

// Plan compares the files with what is wanted.
func (c *Certificate) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	if c.Issuer != "project" {
		return c.planOwn(ctx, v)
	}
	chain, private, err := issued(c.Issued)
	if err != nil {
		return modules.Plan{}, modules.ArgError{Arg: "issued", Summary: "Wrong value", Detail: err.Error() + "."}
	}
	public := ""
	for _, cert := range chain {
		public += encode(cert)
	}
	var plan modules.Plan
	left, whole := time.Until(chain[0].NotAfter), chain[0].NotAfter.Sub(chain[0].NotBefore)
	before := whole / 3
	if c.RenewBefore != nil {
		before = time.Duration(*c.RenewBefore)
	}
	if left < before {
		plan.Notes = []string{fmt.Sprintf("The certificate %s (%s) expires on %s: rotate its secret.", c.Path, named(chain[0]), day(chain[0].NotAfter))}
	}
	for _, f := range []struct {
		path, text string
		mode       host.Mode
	}{{c.keyPath(), private, keyMode}, {c.Path, public, certMode}} {
		spec, err := host.ParseMode(f.mode.String())
		if err != nil {
			return modules.Plan{}, err
		}
		content := v.Keep([]byte(f.text), f.mode == keyMode)
		p, err := (&file.File{Path: f.path, Content: &content, Mode: &spec, Owner: c.Owner, Group: c.Group}).Plan(ctx, v)
		if err != nil {
			return modules.Plan{}, err
		}
		plan.Changes = append(plan.Changes, p.Changes...)
	}
	return plan, nil
}

// place says why the files couldn't be made where they are to be.
func (c *Certificate) place(ctx context.Context, v *host.View) error {
	for _, path := range []string{c.Path, c.keyPath()} {
		dir := filepath.Dir(path)
		info, err := v.Stat(dir)
		switch {
		case errors.Is(err, host.ErrNotYet):
		case err != nil:
			return err
		case !info.Exists():
			return fmt.Errorf("the directory %s doesn't exist: add a directory task before this one", dir)
		}
	}
	if c.Owner != "" {
		if u, err := v.User(ctx, c.Owner); err == nil && u == nil {
			return fmt.Errorf("there is no user %q on this host, and no earlier task makes it", c.Owner)
		}
	}
	if c.Group != "" {
		if g, err := v.Group(ctx, c.Group); err == nil && g == nil {
			return fmt.Errorf("there is no group %q on this host, and no earlier task makes it", c.Group)
		}
	}
	return nil
}

// attributes gives a file that stays its mode and owner.
func (c *Certificate) attributes(ctx context.Context, v *host.View, path string, mode host.Mode, info host.FileInfo) ([]host.Change, error) {
	spec, err := host.ParseMode(mode.String())
	if err != nil || !info.Exists() {
		return nil, err
	}
	p, err := (&file.File{Path: path, Mode: &spec, Owner: c.Owner, Group: c.Group}).Plan(ctx, v)
	return p.Changes, err
}
