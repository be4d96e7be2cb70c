package docker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/moby/api/types/registry"

	"muster/host"
)

// config is what is read of a user's docker configuration.
type config struct {
	Auths map[string]struct {
		Auth          string `json:"auth"`
		IdentityToken string `json:"identitytoken"`
	} `json:"auths"`
	CredsStore  string            `json:"credsStore"`
	CredHelpers map[string]string `json:"credHelpers"`
}

// credentials returns what the acting user would show a registry, encoded as the daemon
// takes it; "" where there are none.
func credentials(ctx context.Context, v *host.View, server string) (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", nil //nolint:nilerr // without a home there are none
	}
	path := filepath.Join(home, ".docker/config.json")
	data, err := v.ReadFile(ctx, path, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	var c config
	if err := json.Unmarshal(data, &c); err != nil {
		return "", fmt.Errorf("%s is no JSON, so that docker can't read it either: %w", path, err)
	}
	helper := c.CredHelpers[server]
	if helper == "" {
		helper = c.CredsStore
	}
	auth := registry.AuthConfig{ServerAddress: server}
	if helper != "" {
		if auth.Username, auth.Password, err = helped(ctx, v, helper, server); err != nil {
			return "", err
		}
	}
	for name, a := range c.Auths {
		if strings.TrimSuffix(strings.TrimPrefix(name, "https://"), "/") != strings.TrimSuffix(strings.TrimPrefix(server, "https://"), "/") || a.Auth == "" {
			continue
		}
		plain, err := base64.StdEncoding.DecodeString(a.Auth)
		if err != nil {
			return "", fmt.Errorf("what %s has for %s is no base64", path, server)
		}
		auth.Username, auth.Password, _ = strings.Cut(strings.TrimRight(string(plain), "\x00"), ":")
		auth.IdentityToken = a.IdentityToken
	}
	if auth.Username == "" && auth.IdentityToken == "" {
		return "", nil
	}
	encoded, err := json.Marshal(auth)
	return base64.URLEncoding.EncodeToString(encoded), err
}

// helped asks a program that keeps credentials: docker-credential-NAME.
func helped(ctx context.Context, v *host.View, helper, server string) (user, password string, err error) {
	out, err := v.Query(ctx, host.Command{Argv: []string{"docker-credential-" + helper, "get"}, Stdin: strings.NewReader(server)})
	switch {
	case err != nil:
		return "", "", err
	case out.ExitCode != 0: // it has none
		return "", "", nil
	}
	var said struct{ Username, Secret string }
	if err := json.Unmarshal(out.Stdout, &said); err != nil {
		return "", "", fmt.Errorf("docker-credential-%s says what is no JSON", helper)
	}
	return said.Username, said.Secret, nil
}
