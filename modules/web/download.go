package web

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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
	// "sha256:" or "sha512:" and the sum in hex; or the address of a file of such sums, as
	// sha256sum and sha512sum write it with or without --tag, or with the one sum alone.
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
	// The proxy to go through: "http://", "https://" or "socks5://" and its address; "none"
	// for none. By default what http_proxy, https_proxy and no_proxy in the task's
	// environment say.
	Proxy string `arg:"proxy"`
}

// source is where the file is.
func (d *Download) source() Source {
	return Source{URL: d.URL, Checksum: d.Checksum, Headers: d.Headers, CA: d.CA, Insecure: d.Insecure, Proxy: d.Proxy}
}

// Check refuses what is no path of a file, and what Source does.
func (d *Download) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	if !unknown("path") && (!filepath.IsAbs(d.Path) || strings.HasSuffix(d.Path, "/")) {
		errs = append(errs, modules.ArgError{Arg: "path", Summary: "Wrong value", Detail: fmt.Sprintf(`%q is no absolute path of a file on the host: it begins with "/", and doesn't end with one.`, d.Path)})
	}
	return append(errs, d.source().Check(unknown)...)
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
	want, err := d.source().Want(ctx, v)
	if err != nil {
		return nil, "", err
	}
	get := &Get{URL: d.source().Name(), Wanted: want, source: d.source()}
	switch {
	case before.Type != host.Regular:
		return get, "from " + get.URL, nil
	case want.Sum != "":
		now, same, err := want.is(v, path)
		if err != nil || same {
			return nil, "", err
		}
		return get, fmt.Sprintf("from %s: its sum is %.12s…, not %.12s…", get.URL, now, want.Sum), nil
	case before.Size == want.Size && before.Modified().Equal(want.Modified):
		return nil, "", nil
	}
	return get, fmt.Sprintf("from %s, which has another: %s of %s", get.URL, host.Counted(want.Size, "byte", "bytes"), want.Modified.UTC().Format("2006-01-02 15:04:05")), nil
}
