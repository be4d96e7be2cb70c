package docker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
)

// Secrets of a container are files of a folder of its own, mounted on /run/secrets. A
// container that is made anew gets another folder, so that the old one can be put back
// with what it had.
const (
	secretsRoot   = "/var/lib/muster/secrets"
	secretsInside = "/run/secrets"
)

// secretsDir is where the folders of a container's secrets are.
func secretsDir(name string) string { return filepath.Join(secretsRoot, name) }

// newSecretsDir returns a folder for the secrets of a container to come.
func newSecretsDir(name string) string {
	var token [6]byte
	_, _ = rand.Read(token[:])
	return filepath.Join(secretsDir(name), hex.EncodeToString(token[:]))
}

// staleSecrets returns the changes that give a container's secrets their values, in its
// folder; again is true where names have come or gone, for which it is made anew.
func (p *planner) staleSecrets(ctx context.Context, dir string) (changes []host.Change, again bool, err error) {
	if dir == "" {
		return nil, len(p.Secrets) > 0, nil
	}
	names, err := p.v.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !secretForm.MatchString(n) }) // what a cut run left
	if !slices.Equal(names, p.want.Secrets) {
		return nil, true, nil
	}
	folder, err := p.v.Lstat(dir)
	if err != nil {
		return nil, false, err
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		before, err := p.v.Lstat(path)
		if err != nil {
			return nil, false, err
		}
		attr, after := asMade(before, folder)
		written, err := p.v.Rewrite(ctx, path, func(string) (string, error) { return p.Secrets[name], nil })
		if err != nil {
			return nil, false, err
		}
		for _, c := range written {
			w := c.(*host.WriteFile)
			w.Content.Sensitive, w.After.Sensitive, w.Diff = true, true, "(sensitive content)"
			w.Attr, w.After.Mode, w.After.Owner, w.After.Group = attr, after.Mode, after.Owner, after.Group
		}
		if len(written) == 0 && attr != (host.Attr{}) {
			written = []host.Change{&host.SetAttr{Path: path, Attr: attr, Before: before, After: after}}
		}
		changes = append(changes, written...)
	}
	return changes, false, nil
}

// asMade is what has to become of a secret's file to be as it was made: for the
// container's user alone, whose the folder is.
func asMade(f, folder host.FileInfo) (attr host.Attr, after host.FileInfo) {
	after = f
	if mode := host.Mode(0o400); f.Mode != mode {
		attr.Mode, after.Mode = &mode, mode
	}
	if f.Owner != folder.Owner {
		attr.Owner, after.Owner = folder.Owner, folder.Owner
	}
	if f.Group != folder.Group {
		attr.Group, after.Group = folder.Group, folder.Group
	}
	return attr, after
}

// writeSecrets writes a container's secrets for its user alone.
func writeSecrets(dir string, values map[string]string, uid, gid int) error {
	for _, d := range []struct {
		path string
		mode host.Mode
	}{{filepath.Dir(dir), 0o700}, {dir, 0o711}} { // the container's user enters the inner one
		at, err := host.MakeDirs(d.path, d.mode)
		if err != nil {
			return err
		}
		at.Close()
	}
	if err := give(dir, uid, gid); err != nil {
		return err
	}
	for name, value := range values {
		if err := host.PutOwned(filepath.Join(dir, name), []byte(value), 0o400, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

// idsOf reads the numbers of a user in an image from its /etc/passwd and /etc/group:
// "app", "app:www", "1000", "1000:1000".
func idsOf(user, passwd, group string) (uid, gid int, ok bool) {
	name, groupName, _ := strings.Cut(user, ":")
	uid, isNumber := number(name)
	ok = isNumber || name == ""
	for line := range strings.Lines(passwd) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 {
			continue
		}
		if id, _ := number(f[2]); f[0] == name || isNumber && id == uid {
			uid, _ = number(f[2])
			gid, _ = number(f[3])
			ok = true
		}
	}
	if n, isNumber := number(groupName); isNumber {
		return uid, n, ok
	}
	for line := range strings.Lines(group) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) > 2 && groupName != "" && f[0] == groupName {
			gid, _ = number(f[2])
		}
	}
	return uid, gid, ok
}

// give makes a folder a user's: what stands in it is compared with that.
func give(dir string, uid, gid int) error {
	parent, name, err := host.OpenParent(dir)
	if err != nil {
		return err
	}
	defer parent.Close()
	e, err := parent.Entry(name)
	if err != nil {
		return err
	}
	defer e.Close()
	return e.Chown(uid, gid)
}
