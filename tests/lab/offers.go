package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
)

// ErrNoPackage is a package that the mirror doesn't have for a host's release: what
// tests it can't be run, and says so at its end. Trying again won't help.
var ErrNoPackage = errors.New("the mirror has no such package")

// Offers returns nil where a package can be installed on the host, and has fetched it
// with all that it needs by then. The error is ErrNoPackage where its release doesn't
// have it, or has lists of packages that the mirror no longer keeps; another where the
// mirror can't be asked.
func (h *Host) Offers(ctx context.Context, name string) error {
	fetch := func() ([]byte, error) {
		return h.Command(ctx, "apt-get", "install", "-qy", "--no-install-recommends", "--download-only", name).CombinedOutput()
	}
	if _, err := fetch(); err == nil {
		return nil
	}
	// The lists are as old as the base tree: those of today may have it.
	if update, err := h.Command(ctx, "apt-get", "update", "-q").CombinedOutput(); err != nil {
		return fmt.Errorf("refreshing the lists of packages of %s: %w\n%s", h.Name(), err, tail(string(update), 5))
	}
	out, err := fetch()
	if err == nil {
		return nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && lacks(out) {
		return fmt.Errorf("%w: %s on %s, %s\n%s", ErrNoPackage, h.options.suite, h.Name(), name, tail(string(out), 5))
	}
	return fmt.Errorf("fetching %s on %s: %w\n%s", name, h.Name(), err, tail(string(out), 5))
}

// lacks reports whether apt-get's words are about a package that isn't to be had,
// rather than a mirror that can't be asked.
func lacks(out []byte) bool {
	for _, words := range []string{"Unable to locate package", "has no installation candidate", "unmet dependencies", "404  Not Found"} {
		if bytes.Contains(out, []byte(words)) {
			return true
		}
	}
	return false
}
