package certificate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
)

// CATrust is an authority that the whole system trusts.
//
// Its certificates are put in /usr/local/share/ca-certificates, each in a file NAME.HASH.crt,
// and update-ca-certificates, of the package ca-certificates, makes the system's store of
// them. Programs read that when they start. What a task of the same name has put there
// before, and is not in its text any more, is taken out again.
type CATrust struct {
	// What its files are called.
	Name string `arg:"name,key,required"`
	// The certificate in PEM form, or several of them, as of file("ca.pem").
	Certificate string `arg:"certificate"`
	// "absent" takes the authority out.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

const (
	localFolder  = "/usr/local/share/ca-certificates"
	storeFolder  = "/etc/ssl/certs"
	storeBundle  = storeFolder + "/ca-certificates.crt"
	updateScript = "/usr/sbin/update-ca-certificates"
)

// updateStore makes the store anew. update-ca-certificates leaves dangling links where
// a certificate is gone, and hashes nothing where only contents have changed.
const updateStore = `set -e
update-ca-certificates
cd ` + storeFolder + `
find . -maxdepth 1 -type l ! -exec test -e {} \; -exec rm -f {} +
openssl rehash . >/dev/null`

var trustName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// soon is how long before its end an authority's certificate is told.
const soon = 30 * 24 * time.Hour

// Check refuses what is no authority's certificate.
func (c *CATrust) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	wrong := func(arg, format string, a ...any) {
		errs = append(errs, modules.ArgError{Arg: arg, Summary: "Wrong value", Detail: fmt.Sprintf(format, a...)})
	}
	if !unknown("name") && !trustName.MatchString(c.Name) {
		wrong("name", "%q can't be the name of a file: use letters, digits, \"_\", \".\" and \"-\".", c.Name)
	}
	if c.State == "absent" || unknown("certificate") {
		return errs
	}
	if c.Certificate == "" {
		return append(errs, modules.ArgError{Arg: "certificate", Summary: "Missing argument", Detail: `It needs the authority's certificate: certificate = file("ca.pem").`})
	}
	certs, err := decode(c.Certificate)
	if err != nil {
		wrong("certificate", "%s.", err)
	}
	seen := map[string]bool{}
	for _, cert := range certs {
		switch {
		case !authority(cert):
			wrong("certificate", "The certificate of %s is no authority's: it signs no others, and trusting it would do nothing for what it is for.", named(cert))
		case seen[string(cert.Raw)]:
			wrong("certificate", "The certificate of %s stands there twice.", named(cert))
		}
		seen[string(cert.Raw)] = true
	}
	return errs
}

// authority reports whether a certificate may sign others. Before version 3 nothing in it
// could say so.
func authority(cert *x509.Certificate) bool {
	if cert.Version < 3 {
		return string(cert.RawIssuer) == string(cert.RawSubject)
	}
	return cert.BasicConstraintsValid && cert.IsCA && (cert.KeyUsage == 0 || cert.KeyUsage&x509.KeyUsageCertSign != 0)
}

// May is the files of the name, and the store.
func (c *CATrust) May() []host.Effect {
	if c.Name == "" {
		return []host.Effect{host.Open(host.Files, "")}
	}
	return []host.Effect{
		host.Begins(host.Files, filepath.Join(localFolder, c.Name+".")), host.Begins(host.Files, storeFolder+"/"),
		host.Open(host.Files, storeBundle), host.Open(trustSpace, c.Name),
	}
}

const trustSpace = "trusted authority"

// trusted is what the store has of a name: the fingerprints of its certificates. Loose: there is more
// under that name than a store that is made anew would have.
type trusted struct {
	Certs []string `json:"certs"`
	Loose bool     `json:"loose,omitempty"`
}

// Plan compares files and store with the certificates.
func (c *CATrust) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	program, err := v.Stat(updateScript)
	if err != nil {
		return modules.Plan{}, err
	}
	if !program.Exists() {
		if c.State == "absent" {
			return modules.Plan{}, nil
		}
		return modules.Plan{}, errors.New("the host has no store of authorities: a task for the package ca-certificates has to come first")
	}
	var certs []*x509.Certificate
	if c.State != "absent" {
		if certs, err = decode(c.Certificate); err != nil {
			return modules.Plan{}, modules.ArgError{Arg: "certificate", Summary: "Wrong value", Detail: err.Error() + "."}
		}
	}
	plan := modules.Plan{Notes: c.ends(certs, time.Now())}
	want, texts := trusted{Certs: []string{}}, map[string]string{}
	for _, cert := range certs {
		name := c.Name + "." + fingerprint(cert)
		want.Certs, texts[name] = append(want.Certs, fingerprint(cert)), encode(cert)
		changes, err := v.Rewrite(ctx, filepath.Join(localFolder, name+".crt"), func(string) (string, error) { return texts[name], nil })
		if err != nil {
			return modules.Plan{}, err
		}
		plan.Changes = append(plan.Changes, changes...)
	}
	slices.Sort(want.Certs)
	names, err := v.ReadDir(localFolder)
	if err != nil {
		return modules.Plan{}, err
	}
	for _, file := range names {
		name, crt := strings.CutSuffix(file, ".crt")
		if !crt || !c.owns(name) || texts[name] != "" {
			continue
		}
		path := filepath.Join(localFolder, file)
		info, err := v.Lstat(path)
		if err != nil {
			return modules.Plan{}, err
		}
		plan.Changes = append(plan.Changes, &host.Remove{Path: path, Before: info})
	}
	have, err := host.Read(v, host.Key{Space: trustSpace, Name: c.Name}, func() (*trusted, error) {
		s, err := readStore(v)
		if err != nil {
			return nil, err
		}
		return s.of(c, texts), nil
	})
	if err != nil {
		return modules.Plan{}, err
	}
	if len(plan.Changes) > 0 || have.Loose || !slices.Equal(have.Certs, want.Certs) {
		update, err := c.update(v, want, certs)
		if err != nil {
			return modules.Plan{}, err
		}
		plan.Changes = append(plan.Changes, update)
	}
	return plan, nil
}

// ends tells which certificates have ended, or will soon.
func (c *CATrust) ends(certs []*x509.Certificate, now time.Time) []string {
	var notes []string
	for _, cert := range certs {
		switch {
		case !now.Before(cert.NotAfter):
			notes = append(notes, fmt.Sprintf("The authority %s (%s) has expired on %s: nothing that it has signed is trusted any more.", c.Name, named(cert), day(cert.NotAfter)))
		case now.Before(cert.NotBefore):
			notes = append(notes, fmt.Sprintf("The authority %s (%s) isn't good before %s.", c.Name, named(cert), day(cert.NotBefore)))
		case cert.NotAfter.Sub(now) < soon:
			notes = append(notes, fmt.Sprintf("The authority %s (%s) expires on %s.", c.Name, named(cert), day(cert.NotAfter)))
		}
	}
	return notes
}

var hashed = regexp.MustCompile(`^\.[0-9a-f]{8}$`)

// owns reports whether a file's name, without its ending, is one of the task's.
func (c *CATrust) owns(name string) bool {
	rest, ours := strings.CutPrefix(name, c.Name)
	return ours && hashed.MatchString(rest)
}

// update is the change that makes the store anew.
func (c *CATrust) update(v *host.View, want trusted, certs []*x509.Certificate) (host.Change, error) {
	does := host.Description{Action: host.Update, Target: "trusted authorities"}
	var lines []string
	for _, cert := range certs {
		lines = append(lines, "trusts "+named(cert))
	}
	if len(lines) == 0 {
		lines = []string{"trusts " + c.Name + " no more"}
	}
	does.Diff = strings.Join(lines, "\n")
	leaves := []host.Effect{
		host.Is(host.Key{Space: trustSpace, Name: c.Name}, want),
		host.Open(host.Files, storeBundle), host.Begins(host.Files, storeFolder+"/"),
	}
	s, err := readStore(v)
	if err != nil {
		return nil, err
	}
	for _, link := range s.names() {
		if hashLink.MatchString(link) || c.owns(strings.TrimSuffix(link, ".pem")) || s.links[link] == "" {
			leaves = append(leaves, host.Open(host.Files, filepath.Join(storeFolder, link)))
		}
	}
	return &host.RunProgram{Argv: []string{"sh", "-c", updateStore}, Does: does, Leaves: leaves}, nil
}

// hashLink is the name of a link by which OpenSSL finds a certificate.
var hashLink = regexp.MustCompile(`^[0-9a-f]{8}\.r?[0-9]+$`)

// store is what update-ca-certificates has made.
type store struct {
	bundle string
	links  map[string]string // name → what it leads to
}

func (s store) names() []string {
	var list []string
	for name := range s.links {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// readStore reads the store, once for all tasks. It is looked at as it is: what earlier tasks
// will have made of it is known by name.
func readStore(v *host.View) (store, error) {
	for _, name := range []string{storeFolder, storeFolder + "/*"} {
		_, _, _, _ = v.Look(host.File(name))
	}
	return host.Once(v, "the store of authorities", func() (store, error) {
		s := store{links: map[string]string{}}
		data, err := os.ReadFile(storeBundle)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return s, err
		}
		s.bundle = string(data)
		entries, err := os.ReadDir(storeFolder)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return s, err
		}
		for _, e := range entries {
			if e.Type()&os.ModeSymlink == 0 {
				continue
			}
			if s.links[e.Name()], err = os.Readlink(filepath.Join(storeFolder, e.Name())); err != nil {
				return s, err
			}
		}
		return s, nil
	})
}

// of is what the store has of a task's name. A certificate counts that is in the bundle,
// and that OpenSSL finds by its link; texts are those that are wanted.
func (s store) of(c *CATrust, texts map[string]string) *trusted {
	t := &trusted{Certs: []string{}}
	found := map[string]bool{} // of which there is a hash
	for link, target := range s.links {
		if hashLink.MatchString(link) {
			found[strings.TrimSuffix(filepath.Base(target), ".pem")] = true
		}
	}
	for name, text := range texts {
		times := strings.Count(s.bundle, text)
		// Of two equal ones OpenSSL links to one.
		if times > 0 && s.links[name+".pem"] == filepath.Join(localFolder, name+".crt") && (found[name] || times > 1) {
			t.Certs = append(t.Certs, strings.TrimPrefix(name, c.Name+"."))
		}
	}
	for link := range s.links {
		if name := strings.TrimSuffix(link, ".pem"); c.owns(name) && texts[name] == "" {
			t.Loose = true
		}
	}
	for name := range found {
		if c.owns(name) && texts[name] == "" {
			t.Loose = true
		}
	}
	slices.Sort(t.Certs)
	return t
}
