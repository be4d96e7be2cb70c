package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"muster/host"
)

// proved logs in at a registry by the daemon, which keeps nothing of it.
func proved(ctx context.Context, c *client.Client, registry string, who credential) error {
	_, err := c.RegistryLogin(ctx, client.RegistryLoginOptions{Username: who.User, Password: who.Password, ServerAddress: registry})
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	text := strings.TrimSpace(strings.TrimPrefix(err.Error(), "Error response from daemon: "))
	f := &loginError{err: err}
	switch says := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(text, part) {
				return true
			}
		}
		return false
	}; {
	case errors.Is(err, errdefs.ErrUnauthenticated), says("unauthorized", "401 Unauthorized", "incorrect username or password"):
		f.refused, f.text = true, fmt.Sprintf("%s refuses the user %s with this password: see what its own list of users says", registry, who.User)
	case says("server gave HTTP response to HTTPS client"):
		f.text = fmt.Sprintf("%s speaks HTTP without TLS, which Docker refuses: give the registry a certificate, or Docker's settings insecure-registries = [%q]", registry, registry)
	case says("x509: certificate signed by unknown authority", "x509: “", "certificate is not trusted"):
		f.text = fmt.Sprintf("Docker doesn't trust the certificate of %s: put that of its authority at /etc/docker/certs.d/%s/ca.crt in an earlier task (%s)", registry, registry, text)
	case says("x509: "):
		f.text = fmt.Sprintf("the certificate of %s isn't good for it: %s", registry, text)
	case says("dial tcp", "no such host", "connection re", "i/o timeout", "Client.Timeout", "EOF", "502 ", "503 ", "504 "):
		f.absent, f.text = true, fmt.Sprintf("%s doesn't answer: %s", registry, text)
	default:
		f.text = fmt.Sprintf("logging in at %s: %s", registry, text)
	}
	return f
}

// loginError is why a login isn't proved.
type loginError struct {
	text    string
	absent  bool // nobody has answered
	refused bool // whoever it is
	err     error
}

func (e *loginError) Error() string { return e.text }

// Unwrap returns what the client has made of it.
func (e *loginError) Unwrap() error { return e.err }

// prove proves a login while planning. Where that can't be done yet, later says why: the
// daemon is still to come, the registry doesn't answer, or something is pending on this
// host, which may be what is missing (a certificate, the registry's own list of users).
// A registry that refuses a user's new password, and takes the one that is kept, may be
// about to be given the new one, on another host of the run.
func prove(ctx context.Context, v *host.View, registry string, who credential, kept *credential) (later string, err error) {
	c, err := asking(ctx, v)
	if errors.Is(err, host.ErrNotYet) {
		return "proved once Docker runs", nil
	}
	if err != nil && !host.IsRoot() {
		return "", fmt.Errorf("%w; or put the user into the group docker; or let root keep the login in the user's config", err)
	}
	if err != nil {
		return "", err
	}
	try := func(who credential) error {
		_, err := host.Once(v, "docker login "+registry+" "+who.digest(registry), func() (bool, error) { return true, proved(ctx, c, registry, who) })
		return err
	}
	err = try(who)
	var f *loginError
	switch {
	case !errors.As(err, &f):
		return "", err
	case f.absent, v.Pending():
		return "not proved yet: " + f.text, nil
	case f.refused && kept != nil && kept.User == who.User && kept.Password != "" && try(*kept) == nil:
		return "not proved yet: " + f.text + "; it still takes the one that is kept", nil
	}
	return "", err
}

// ProveLogin logs in at a registry, which must accept that. It keeps nothing.
type ProveLogin struct {
	Registry string       `json:"registry"`
	User     string       `json:"user"`
	Password host.Content `json:"password"`
	Note     string       `json:"note"`
}

// Type is "docker.login.prove/1".
func (*ProveLogin) Type() string { return "docker.login.prove/1" }

// Want is the login.
func (p *ProveLogin) Want() any {
	return ProveLogin{Registry: p.Registry, User: p.User, Password: p.Password}
}

// Describe says why it wasn't proved while planning.
func (p *ProveLogin) Describe() host.Description {
	return host.Description{Action: host.Check, Target: "login at " + p.Registry, Impact: p.Note}
}

// Effects is nothing.
func (*ProveLogin) Effects() []host.Effect { return nil }

// Apply logs in.
func (p *ProveLogin) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	password, err := h.Bodies.Read(ctx, p.Password, configLimit)
	if err != nil {
		return host.Result{}, err
	}
	c, err := acting(h)
	if err != nil {
		return host.Result{}, err
	}
	return host.Result{}, proved(ctx, c, p.Registry, credential{User: p.User, Password: string(password)})
}
