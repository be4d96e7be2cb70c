package docker

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"muster/host"
)

// driven refuses a driver that neither Docker itself nor one of its plugins has. Docker
// looks for it a quarter of a minute before it says so.
func driven(ctx context.Context, v *host.View, what, driver string) error {
	if slices.Contains([]string{"bridge", "macvlan", "ipvlan", "overlay", local}, driver) {
		return nil
	}
	c, err := asking(ctx, v)
	if err != nil {
		return err
	}
	info, err := host.Once(v, "docker info", func() (system.Info, error) {
		r, err := c.Info(ctx, client.InfoOptions{})
		return r.Info, err
	})
	if err != nil {
		return fmt.Errorf("asking Docker for its plugins: %w", inWords(err))
	}
	plugins := slices.Concat(info.Plugins.Network, info.Plugins.Volume)
	if slices.Contains(plugins, driver) || slices.Contains(plugins, driver+":latest") {
		return nil
	}
	// Plugins of the older sort are known to Docker only once they are used.
	for _, dir := range []string{"/run/docker/plugins", "/etc/docker/plugins", "/usr/lib/docker/plugins"} {
		names, err := v.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if strings.TrimSuffix(name, filepath.Ext(name)) == driver {
				return nil
			}
		}
	}
	return fmt.Errorf("the Docker daemon has no driver %q of %ss, nor a plugin of that name: docker plugin ls lists those there are", driver, what)
}
