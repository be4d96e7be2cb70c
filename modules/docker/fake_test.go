package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	api "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/registry"
	vol "github.com/moby/moby/api/types/volume"

	"muster/host"
)

// fakeDaemon answers as Docker does, as far as networks, volumes and logins go.
type fakeDaemon struct {
	mu         sync.Mutex
	asked      map[string]int // requests, by method and path
	made       int
	networks   []api.Network
	volumes    []vol.Volume
	containers []container.Summary
	images     []image.Summary
	refuse     map[string]string // what is said, by method and path
	raw        map[string]string // what is answered, by method and path
	passwords  map[string]string // by registry and user
}

// fakeHost returns a host on which the daemon runs.
func fakeHost(t *testing.T, d *fakeDaemon) *host.Host {
	t.Helper()
	d.asked = map[string]int{}
	s := httptest.NewServer(d)
	t.Cleanup(s.Close)
	h := host.New()
	h.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != socket {
			return nil, fmt.Errorf("nobody listens on %s", address)
		}
		return new(net.Dialer).DialContext(ctx, "tcp", s.Listener.Addr().String())
	}
	return h
}

func (d *fakeDaemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w.Header().Set("Api-Version", "1.41")
	w.Header().Set("Content-Type", "application/json")
	path := r.URL.Path
	if strings.HasPrefix(path, "/v1.") {
		_, path, _ = strings.Cut(path[1:], "/")
		path = "/" + path
	}
	what := r.Method + " " + path
	d.asked[what]++
	answer := func(code int, body any) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body)
	}
	say := func(code int, text string) { answer(code, map[string]string{"message": text}) }
	if text := d.refuse[what]; text != "" {
		say(http.StatusInternalServerError, text)
		return
	}
	switch {
	case d.raw[what] != "":
		_, _ = w.Write([]byte(d.raw[what]))
	case path == "/_ping":
	case what == "GET /info":
		answer(http.StatusOK, map[string]any{"Plugins": map[string]any{"Network": []string{"bridge"}, "Volume": []string{"nfs:latest"}}})
	case what == "GET /networks":
		answer(http.StatusOK, d.networks)
	case what == "GET /volumes":
		answer(http.StatusOK, vol.ListResponse{Volumes: d.volumes})
	case what == "GET /containers/json":
		answer(http.StatusOK, d.containers)
	case what == "GET /images/json":
		answer(http.StatusOK, d.images)
	case strings.HasPrefix(what, "GET /images/"):
		for _, i := range d.images {
			if i.ID == strings.TrimSuffix(strings.TrimPrefix(path, "/images/"), "/json") {
				answer(http.StatusOK, map[string]any{"Id": i.ID, "RepoTags": i.RepoTags, "RepoDigests": i.RepoDigests})
				return
			}
		}
		say(http.StatusNotFound, "no such image")
	case strings.HasPrefix(what, "DELETE /images/"):
		name := strings.TrimPrefix(path, "/images/")
		for n := range d.images {
			i := heldOf(d.images[n])
			if i.drop(name); i.id != name && len(i.names) == len(d.images[n].RepoTags)+len(d.images[n].RepoDigests) {
				continue
			}
			d.images[n].RepoTags, d.images[n].RepoDigests = nil, nil
			for _, ref := range i.refs() {
				if strings.Contains(ref, "@") {
					d.images[n].RepoDigests = append(d.images[n].RepoDigests, ref)
				} else {
					d.images[n].RepoTags = append(d.images[n].RepoTags, ref)
				}
			}
			if len(i.names) == 0 || i.id == name {
				d.images = append(d.images[:n:n], d.images[n+1:]...)
			}
			answer(http.StatusOK, []map[string]string{{"Deleted": i.id}})
			return
		}
		say(http.StatusNotFound, "no such image")
	case what == "POST /networks/create":
		var q api.CreateRequest
		_ = json.NewDecoder(r.Body).Decode(&q)
		d.made++
		n := api.Network{Name: q.Name, ID: fmt.Sprintf("id%d", d.made), Driver: q.Driver, Internal: q.Internal, Attachable: q.Attachable, Options: q.Options, Labels: q.Labels, EnableIPv6: q.EnableIPv6 != nil && *q.EnableIPv6}
		if q.IPAM != nil {
			n.IPAM = *q.IPAM
		}
		d.networks = append(d.networks, n)
		answer(http.StatusCreated, api.CreateResponse{ID: n.ID})
	case strings.HasPrefix(what, "DELETE /networks/"):
		for i, n := range d.networks {
			if n.ID == strings.TrimPrefix(path, "/networks/") {
				d.networks = append(d.networks[:i:i], d.networks[i+1:]...)
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		say(http.StatusNotFound, "network not found")
	case what == "POST /volumes/create":
		var q vol.CreateRequest
		_ = json.NewDecoder(r.Body).Decode(&q)
		d.made++
		v := vol.Volume{Name: q.Name, Driver: q.Driver, Options: maps.Clone(q.DriverOpts), Labels: q.Labels, CreatedAt: fmt.Sprint(d.made), Mountpoint: "/data/" + q.Name}
		d.volumes = append(d.volumes, v)
		answer(http.StatusCreated, v)
	case strings.HasPrefix(what, "DELETE /volumes/"):
		for i, v := range d.volumes {
			if v.Name == strings.TrimPrefix(path, "/volumes/") {
				d.volumes = append(d.volumes[:i:i], d.volumes[i+1:]...)
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		say(http.StatusNotFound, "no such volume")
	case what == "POST /auth":
		var q registry.AuthConfig
		_ = json.NewDecoder(r.Body).Decode(&q)
		if want, ok := d.passwords[q.ServerAddress+" "+q.Username]; !ok || want != q.Password {
			say(http.StatusUnauthorized, "Get https://"+q.ServerAddress+"/v2/: unauthorized: authentication required")
			return
		}
		answer(http.StatusOK, registry.AuthResponse{Status: "Login Succeeded"})
	default:
		say(http.StatusNotFound, "page not found")
	}
}

// joined is a container that belongs to networks and uses volumes.
func joined(name, state string, nets []string, vols ...string) container.Summary {
	c := container.Summary{ID: name + "id", Names: []string{"/" + name}, State: container.ContainerState(state), NetworkSettings: &container.NetworkSettingsSummary{Networks: map[string]*api.EndpointSettings{}}}
	for _, n := range nets {
		c.NetworkSettings.Networks[n] = &api.EndpointSettings{}
	}
	for _, v := range vols {
		c.Mounts = append(c.Mounts, container.MountPoint{Type: "volume", Name: v})
	}
	return c
}
