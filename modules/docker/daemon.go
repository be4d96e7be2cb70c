package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"muster/host"
)

// dial connects to the daemon.
type dial func(ctx context.Context, address string) (net.Conn, error)

// connect returns a client of the daemon. Its version of the API is agreed on with the
// first request.
func connect(d dial) (*client.Client, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d(ctx, "unix:"+socket)
	}}
	return client.New(client.WithHost("unix://"+socket), client.WithHTTPClient(&http.Client{Transport: plainGateways{transport}, CheckRedirect: client.CheckRedirect}))
}

// asking returns a client of the daemon as it will be, that only reads. While the daemon
// is still to come it is host.ErrNotYet.
func asking(ctx context.Context, v *host.View) (*client.Client, error) {
	if err := awake(ctx, v); err != nil {
		return nil, unanswered(err)
	}
	conn, err := v.Dial(ctx, "unix:"+socket, engineKeys...)
	if err != nil {
		return nil, unanswered(err)
	}
	conn.Close()
	return host.Once(v, "docker client", func() (*client.Client, error) {
		return connect(func(ctx context.Context, address string) (net.Conn, error) {
			return v.Dial(ctx, address, engineKeys...)
		})
	})
}

// awake returns an error where the daemon doesn't run and would be started by whoever
// asks it: its socket is systemd's, and planning starts nothing.
func awake(ctx context.Context, v *host.View) error {
	_, err := host.Once(v, "docker awake", func() (struct{}, error) {
		out, err := v.Query(ctx, host.Command{Argv: []string{"systemctl", "show", "--property=ActiveState", "--", "docker.socket", unit}}, engineKeys...)
		if errors.Is(err, host.ErrNoProgram) || err == nil && out.ExitCode != 0 {
			return struct{}{}, nil // no systemd, so that nobody is started by being asked
		}
		states := strings.Fields(string(out.Stdout))
		if err == nil && len(states) == 2 && states[0] == "ActiveState=active" && states[1] != "ActiveState=active" && states[1] != "ActiveState=reloading" {
			err = syscall.ECONNREFUSED
		}
		return struct{}{}, err
	})
	return err
}

// acting returns a client of the daemon, for a change.
func acting(h *host.Host) (*client.Client, error) { return connect(h.Dial) }

// unanswered says what to do about a daemon that doesn't answer.
func unanswered(err error) error {
	switch {
	case errors.Is(err, host.ErrNotYet):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return errors.New(`there is no Docker on this host: install it in an earlier task, task "docker_engine" "docker" {}`)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("the Docker daemon doesn't run on this host: start it in an earlier task, task \"service\" \"docker\" { state = \"running\" }, or see what stopped it: journalctl -u %s", unit)
	case errors.Is(err, os.ErrPermission):
		return errors.New(`only root and the group docker may ask Docker: give the task "become = true"`)
	}
	return fmt.Errorf("asking Docker: %w", err)
}

// listContainers asks for all containers of the host, once.
func listContainers(ctx context.Context, v *host.View) ([]container.Summary, error) {
	c, err := asking(ctx, v)
	if err != nil {
		return nil, err
	}
	return host.Once(v, "docker containers", func() ([]container.Summary, error) {
		r, err := c.ContainerList(ctx, client.ContainerListOptions{All: true})
		return r.Items, err
	})
}

// listImages asks for all images of the host, once.
func listImages(ctx context.Context, v *host.View) ([]image.Summary, error) {
	c, err := asking(ctx, v)
	if err != nil {
		return nil, err
	}
	return host.Once(v, "docker images", func() ([]image.Summary, error) {
		r, err := c.ImageList(ctx, client.ImageListOptions{})
		return r.Items, err
	})
}
