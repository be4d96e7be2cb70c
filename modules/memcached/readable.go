package memcached

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// starter is who reads the certificate: Memcached as its unit starts it, which becomes the user memcache only
// then. Debian's unit takes from root the right to read what others' permissions forbid.
func starter(ctx context.Context, v *host.View) (id host.Identity, private, known bool, err error) {
	out, err := v.Query(ctx, host.Command{Argv: []string{"systemctl", "show", "--property=User,CapabilityBoundingSet,PrivateTmp", "--", unit}}, asked...)
	if err != nil {
		return id, false, false, err
	}
	has := map[string]string{}
	for line := range strings.Lines(string(out.Stdout)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		has[name] = value
	}
	rights := strings.Fields(has["CapabilityBoundingSet"])
	everything := slices.Contains(rights, "cap_dac_override") || slices.Contains(rights, "cap_dac_read_search")
	roots := map[string]bool{"root": true, "0": true}
	known = has["User"] == "" || has["User"] == "root"
	return host.Identity{Name: "root", Root: everything, Owners: roots, Groups: roots}, has["PrivateTmp"] == "yes", known, nil
}

// readable returns an error where Memcached couldn't read its certificate or key when it starts.
func (s *Server) readable(ctx context.Context, v *host.View) error {
	if s.TLS == nil {
		return nil
	}
	id, private, known, err := starter(ctx, v)
	if err != nil {
		return err
	}
	for _, f := range []struct{ arg, path string }{{".certificate", s.TLS.Certificate}, {".key", s.TLS.Key}} {
		fail := func(summary, format string, a ...any) error {
			return modules.ArgError{Arg: "tls", Path: f.arg, Summary: summary, Detail: fmt.Sprintf(format, a...)}
		}
		path, err := v.Follow(f.path)
		if err != nil {
			return err
		}
		info, err := v.Stat(path)
		switch {
		case err != nil:
			return err
		case info.Type == host.NoFile:
			return fail("No such file", "There is no %s on this host: put it there in an earlier task.", f.path)
		case info.Type != host.Regular:
			return fail("Not a file", "%s is a %s on this host.", f.path, info.Type)
		case private && (strings.HasPrefix(path, "/tmp/") || strings.HasPrefix(path, "/var/tmp/")):
			return fail("Memcached can't see this file", "%s has folders /tmp and /var/tmp of its own: put %s elsewhere.", unit, f.path)
		case !known:
			continue
		case !id.Perhaps(info, host.MayRead):
			return fail("Memcached can't read this file", "%s belongs to %s:%s, with mode %s. Memcached reads it as root before it becomes the user %s, and its unit takes from root the right to read what its permissions forbid: have it belong to root, as in owner = \"root\", group = %q, mode = \"0640\".", f.path, info.Owner, info.Group, info.Mode, account, account)
		}
		for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
			info, err := v.Stat(dir)
			if err != nil {
				return err
			}
			if !id.Perhaps(info, host.MayEnter) {
				return fail("Memcached can't read this file", "It can't enter %s, which belongs to %s:%s, with mode %s. Its unit takes from root the right to enter what its permissions forbid.", dir, info.Owner, info.Group, info.Mode)
			}
			if dir == "/" {
				break
			}
		}
	}
	return nil
}
