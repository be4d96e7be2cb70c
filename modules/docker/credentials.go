package docker

import (
	"context"
	"encoding/base64"
	"encoding/json"

	"github.com/moby/moby/api/types/registry"

	"muster/host"
)

// credentials returns what the acting user would show a registry, encoded as the daemon
// takes it; "" where there are none.
func credentials(ctx context.Context, v *host.View, server string) (string, error) {
	l := &Login{Registry: server}
	f, err := l.file(ctx, v)
	if err != nil {
		return "", err
	}
	c, err := f.kept(ctx, v, l.key())
	if err != nil || c == nil {
		return "", err
	}
	if c.sum != "" { // a helper is to be given it
		return "", host.NotYet(f.key(l.key()))
	}
	encoded, err := json.Marshal(registry.AuthConfig{ServerAddress: server, Username: c.User, Password: c.Password, IdentityToken: c.token})
	return base64.URLEncoding.EncodeToString(encoded), err
}
