package web

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"muster/host"
	"muster/modules"
)

// Download is a file that the host gets from a web server. With a checksum it is got where
// the file hasn't that. Without one the server is asked while planning whether it has
// another file, by its size and the time of its last change, which the file gets, too; a
// server that doesn't tell these needs a checksum. What was there stays until the whole
// new file has come and has the checksum; a transfer that is cut is taken up again. A redirect
// to another host, or from https to http, goes without the headers.
type Download struct {
	// Absolute path on the host.
	Path string `arg:"path,key,path,required"`
	// Where the file is, http or https.
	URL string `arg:"url,required"`
	// "sha256:" and the sum in hex; or the address of a file of SHA-256 sums, as sha256sum
	// writes it with or without --tag, or with the one sum alone.
	Checksum string `arg:"checksum"`
	// Headers of the requests, such as credentials.
	Headers map[string]string `arg:"headers"`
	// Permissions, octal ("0644") or symbolic. A new file has 0644.
	Mode *host.ModeSpec `arg:"mode"`
	// The user who owns it.
	Owner string `arg:"owner"`
	// The group it belongs to.
	Group string `arg:"group"`
	// The certificates to trust instead of the host's own: as PEM, or the
	// absolute path of a file on the host.
	CA string `arg:"ca"`
	// Accept any certificate. A checksum holds all the same.
	Insecure bool `arg:"insecure" default:"false"`
}

var sumForm = regexp.MustCompile(`^sha256:([0-9a-fA-F]{64})$`)

// Check refuses what is no address, no checksum and no certificate.
func (d *Download) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, format string, a ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Summary: "Wrong value", Detail: fmt.Sprintf(format, a...)})
		}
	}
	if !filepath.IsAbs(d.Path) || strings.HasSuffix(d.Path, "/") {
		fail("path", `%q is no absolute path of a file on the host: it begins with "/", and doesn't end with one.`, d.Path)
	}
	if !isAddress(d.URL) {
		fail("url", "%q is no address of a web server: it begins with http:// or https://.", redacted(d.URL))
	}
	switch algorithm, _, named := strings.Cut(d.Checksum, ":"); {
	case d.Checksum == "" || sumForm.MatchString(d.Checksum) || isAddress(d.Checksum):
	case named && algorithm == "sha256":
		fail("checksum", `%q is no SHA-256 sum, which has 64 hexadecimal digits.`, d.Checksum)
	default:
		fail("checksum", `%q is no checksum: it takes "sha256:" and 64 hexadecimal digits, or the address of a file of such sums.`, d.Checksum)
	}
	if d.CA != "" && !strings.HasPrefix(d.CA, "/") && !x509.NewCertPool().AppendCertsFromPEM([]byte(d.CA)) {
		fail("ca", `"ca" is neither a certificate in PEM form nor an absolute path.`)
	}
	return errs
}

func isAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// redacted is an address without its password.
func redacted(text string) string {
	if u, err := url.Parse(text); err == nil {
		return u.Redacted()
	}
	return "the address"
}

// Withhold hides the lines of what is sensitive.
func (d *Download) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "mode", "owner", "group")
}

// May is the file.
func (d *Download) May() []host.Effect { return []host.Effect{host.Open(host.Files, d.Path)} }

// Plan compares the file with its checksum, or with what the server says of it.
func (d *Download) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	path, err := v.Place(d.Path, false)
	if err != nil {
		return modules.Plan{}, err
	}
	dir, err := v.Stat(filepath.Dir(path))
	if err != nil {
		return modules.Plan{}, err
	}
	if dir.Type != host.Directory {
		return modules.Plan{}, fmt.Errorf("there is no folder %s on this host, and no earlier task makes one", filepath.Dir(path))
	}
	before, err := v.Lstat(path)
	if err != nil {
		return modules.Plan{}, err
	}
	if before.Exists() && before.Type != host.Regular && before.Type != host.Symlink {
		return modules.Plan{}, fmt.Errorf("%s is a %s, not a regular file", path, before.Type)
	}
	after, attr, err := d.attributes(ctx, v, before)
	if err != nil {
		return modules.Plan{}, err
	}
	get, why, err := d.differs(ctx, v, path, before)
	if err != nil {
		return modules.Plan{}, err
	}
	switch {
	case get != nil:
		if before.Type == host.Regular {
			if before.Sum, err = v.Sum(path); err != nil {
				return modules.Plan{}, err
			}
		}
		get.write = &host.WriteFile{Path: path, Attr: attr, Before: &before, After: after, Note: why}
		return modules.Plan{Changes: []host.Change{get}}, nil
	case before.Mode != after.Mode || before.Owner != after.Owner || before.Group != after.Group:
		return modules.Plan{Changes: []host.Change{&host.SetAttr{Path: path, Attr: attr, Before: before, After: after}}}, nil
	}
	return modules.Plan{}, nil
}

// attributes are the file's as they will be, and what has to be set.
func (d *Download) attributes(ctx context.Context, v *host.View, before host.FileInfo) (host.FileInfo, host.Attr, error) {
	after := before
	if before.Type != host.Regular {
		after = host.FileInfo{Type: host.Regular, Mode: 0o644, Owner: host.UserName(uint32(os.Geteuid())), Group: host.GroupName(uint32(os.Getegid()))}
	}
	after.Sum = ""
	attr := host.Attr{Owner: d.Owner, Group: d.Group}
	if d.Mode != nil {
		after.Mode = d.Mode.Apply(after.Mode, false)
		attr.Mode = &after.Mode
	}
	if d.Owner != "" {
		u, err := v.User(ctx, d.Owner)
		if err == nil && u == nil {
			err = fmt.Errorf("there is no user %s on this host, and no earlier task makes one", d.Owner)
		}
		if err != nil {
			return after, attr, err
		}
		after.Owner = d.Owner
	}
	if d.Group != "" {
		g, err := v.Group(ctx, d.Group)
		if err == nil && g == nil {
			err = fmt.Errorf("there is no group %s on this host, and no earlier task makes one", d.Group)
		}
		if err != nil {
			return after, attr, err
		}
		after.Group = d.Group
	}
	return after, attr, nil
}

// differs returns what gets the file where it has to be got, and why.
func (d *Download) differs(ctx context.Context, v *host.View, path string, before host.FileInfo) (*Get, string, error) {
	get := &Get{URL: redacted(d.URL), download: d}
	if d.Checksum != "" {
		sum, err := d.sum(ctx, v)
		if err != nil {
			return nil, "", err
		}
		get.Sum = sum
		if before.Type != host.Regular {
			return get, "from " + get.URL, nil
		}
		now, err := v.Sum(path)
		if err != nil || now == sum {
			return nil, "", err
		}
		return get, fmt.Sprintf("from %s: its sum is %.12s…, not %.12s…", get.URL, now, sum), nil
	}
	there, err := host.Once(v, "download "+d.URL, func() (told, error) { return d.head(ctx) })
	if err != nil {
		return nil, "", fmt.Errorf("asking %s: %w", get.URL, err)
	}
	if there.modified.IsZero() || there.size < 0 {
		return nil, "", errors.New(get.URL + " doesn't say how large it is and when it was changed last, so that nobody could tell whether the host has it: give its checksum")
	}
	get.Size, get.Modified = there.size, there.modified
	if before.Type != host.Regular {
		return get, "from " + get.URL, nil
	}
	if before.Size == there.size && before.Modified().Equal(there.modified) {
		return nil, "", nil
	}
	return get, fmt.Sprintf("from %s, which has another: %d bytes of %s", get.URL, there.size, there.modified.UTC().Format("2006-01-02 15:04:05")), nil
}
