package docker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"

	"muster/host"
)

func TestWhatDockerWouldNotTakeIsFoundOffline(t *testing.T) {
	for _, test := range []struct {
		task Container
		want string
	}{
		{Container{Name: "a"}, `"a" is no name of a container`},
		{Container{Name: "app"}, "A container is made of an image"},
		{Container{Image: "App:1"}, `"App:1" is no image: repository name (library/App) must be lowercase`},
		{Container{Image: "app@sha256:12"}, `"app@sha256:12" is no image`},
		{Container{Ports: []string{"80"}}, `"80" publishes no port of the host: write "PORT:80"`},
		{Container{Ports: []string{"8080:80/tpc"}}, `"tpc" is no protocol`},
		{Container{Ports: []string{"8080:080"}}, `"080" is no port`},
		{Container{Ports: []string{"8000-8010:80"}}, "A range is written port by port"},
		{Container{Ports: []string{"10.0.0.300:1:1"}}, `"10.0.0.300" is no address`},
		{Container{Ports: []string{"80:80", "0.0.0.0:80:81"}}, "ports[1]: Wrong value: The port 80 of the host is published already"},
		{Container{Volumes: []string{"data"}}, `"data" is no mount`},
		{Container{Volumes: []string{"data:srv"}}, "the path in the container is absolute"},
		{Container{Volumes: []string{"./x:/srv"}}, "neither an absolute path on the host nor the name of a volume"},
		{Container{Volumes: []string{"a1:/srv", "/b:/srv/:ro"}}, "volumes[1]: Wrong value: Something is mounted on /srv already"},
		{Container{Memory: "512"}, "less than the 6m"},
		{Container{Memory: "lots"}, `"lots" is no size`},
		{Container{CPUs: -1}, "is no number of processors"},
		{Container{Restart: "allways"}, `"allways" is no restart policy`},
		{Container{Restart: "always:3"}, "is no restart policy"},
		{Container{Networks: []string{"host", "app"}}, `A container in "host" is in no other network`},
		{Container{Networks: []string{"host"}, Ports: []string{"80:80"}}, "has the host's ports"},
		{Container{Secrets: map[string]string{"../x": "y"}}, `"../x" is no name of a file`},
		{Container{Labels: map[string]string{"muster.of": "y"}}, "is muster's own"},
		{Container{RestartOn: []string{"etc"}}, "no absolute path on the host"},
		{Container{ReloadSignal: "9 lives"}, "is no signal"},
		{Container{Image: "registry:5000/a/b@sha256:" + strings.Repeat("0", 64), Ports: []string{"[::1]:80:80", "53:53/udp"}, Memory: "1.5g", CPUs: 0.5, Volumes: []string{"a1:/x:ro"}, Restart: "on-failure:3"}, ""},
	} {
		if c := &test.task; !strings.Contains(test.want, "name of a container") {
			c.Name = "app"
			if c.Image == "" && !strings.Contains(test.want, "is made of an image") {
				c.Image = "app:1"
			}
			if c.Restart == "" {
				c.Restart = "no"
			}
		}
		var got []string
		for _, e := range test.task.Check(func(string) bool { return false }) {
			got = append(got, e.Error())
		}
		if all := strings.Join(got, "\n"); test.want == "" && all != "" || !strings.Contains(all, test.want) {
			t.Errorf("%+v: got %q, want %q", test.task, all, test.want)
		}
	}
}

func TestReferencesAreAsDockerHasThem(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("a", 64)
	for in, want := range map[string]string{
		"alpine":                     "docker.io/library/alpine:latest https://index.docker.io/v1/ alpine:latest",
		"ada/app:1":                  "docker.io/ada/app:1 https://index.docker.io/v1/ ada/app:1",
		"registry:5000/app:1":        "registry:5000/app:1 registry:5000 registry:5000/app:1",
		"registry:5000/app" + digest: "registry:5000/app" + digest + " registry:5000 registry:5000/app" + digest,
		"app:1" + digest:             "docker.io/library/app" + digest + " https://index.docker.io/v1/ app" + digest,
	} {
		r, err := parseRef(in)
		if got := strings.Join([]string{r.String(), r.registry(), r.short()}, " "); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", in, got, err, want)
		}
	}
}

func TestUsersOfImagesHaveNumbers(t *testing.T) {
	const passwd, group = "root:x:0:0::/:/bin/sh\napp:x:12:34::/:/bin/sh\n", "www:x:56:\n"
	for user, want := range map[string]string{"": "0 0 true", "app": "12 34 true", "12": "12 34 true", "app:www": "12 56 true", "7:8": "7 8 true", "7": "7 0 true", "nobody": "0 0 false"} {
		uid, gid, ok := idsOf(user, passwd, group)
		if got := fmt.Sprint(uid, gid, ok); got != want {
			t.Errorf("%q is %s, want %s", user, got, want)
		}
	}
}

// A hundred containers that are as declared cost one request to Docker for all of them,
// besides the one for all images.
func TestUnchangedContainersAreOneRequest(t *testing.T) {
	dir := t.TempDir()
	d := &fakeDaemon{images: []image.Summary{{ID: "sha256:1", RepoTags: []string{"app:1"}}}}
	var tasks []*Container
	for i := range 100 {
		c := &Container{Name: fmt.Sprintf("app%d", i), Image: "app:1", Pull: "missing", Restart: "unless-stopped", Env: map[string]string{"N": fmt.Sprint(i)}, Memory: "64m", State: "running"}
		tasks = append(tasks, c)
		id := fmt.Sprintf("%064d", i)
		at := filepath.Join(dir, "containers", id)
		err := os.MkdirAll(at, 0o700)
		if err == nil {
			err = os.WriteFile(filepath.Join(at, "hostconfig.json"), []byte(`{"Memory": 67108864, "RestartPolicy": {"Name": "unless-stopped"}}`), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		want := c.spec(func(string, string, string) {})
		d.containers = append(d.containers, container.Summary{ID: id, Names: []string{"/" + c.Name}, ImageID: "sha256:1", State: "running", Status: "Up", Labels: map[string]string{isOf: c.Name, sumLabel: want.sum([]byte("key"))}})
	}
	h := fakeHost(t, d)
	preview := &host.Preview{}
	for path, text := range map[string]string{keyPath: "key", configFile: `{"data-root": "` + dir + `"}`} {
		content := h.Bodies.Keep([]byte(text), false)
		preview.Lay([]host.Effect{host.Is(host.File(path), host.FileInfo{Type: host.Regular, Owner: "root", Group: "root", Sum: content.Sum, Size: content.Size})})
	}
	v := host.NewView(h, preview)
	for _, c := range tasks {
		if got, err := c.Plan(t.Context(), v); err != nil || len(got.Changes) > 0 {
			t.Fatalf("%s: %+v, %v", c.Name, got, err)
		}
	}
	total := 0
	for what, n := range d.asked {
		if total += n; n > 1 {
			t.Errorf("%s was asked %d times", what, n)
		}
	}
	if total > 3 { // the version, containers, images
		t.Errorf("a hundred unchanged containers take the requests %v", d.asked)
	}
	// One that somebody has given other limits is looked at by itself.
	at := filepath.Join(dir, "containers", d.containers[7].ID, "hostconfig.json")
	if err := os.WriteFile(at, []byte(`{"Memory": 1, "RestartPolicy": {"Name": "unless-stopped"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	before := total
	_, _ = tasks[7].Plan(t.Context(), v)
	total = 0
	for _, n := range d.asked {
		total += n
	}
	if total != before+1 {
		t.Errorf("a container with other limits isn't looked at: %v", d.asked)
	}
}

func TestWhatIsLostIsNamed(t *testing.T) {
	c := container.InspectResponse{Image: "sha256:1", Config: &container.Config{Env: []string{"X=1", "A=1"}, Cmd: []string{"/serve"}}, NetworkSettings: &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{"bridge": {}, "foo": {}}}}
	c.HostConfig = &container.HostConfig{Binds: []string{"rows:/var/db"}, CapAdd: []string{"NET_ADMIN"}}
	c.HostConfig.Memory = 64 << 20
	for want, task := range map[string]*Container{
		"the variables X; the mounts rows:/var/db; the networks foo; the limit of memory 64m; the command /serve; the capabilities NET_ADMIN": {Env: map[string]string{"A": "2"}},
		"the capabilities NET_ADMIN": {Env: map[string]string{"A": "2", "X": "2"}, Volumes: []string{"rows:/var/db"}, Networks: []string{"foo"}, Memory: "32m", Command: []string{"/x"}},
	} {
		p := &planner{Container: task, v: host.NewView(fakeHost(t, &fakeDaemon{images: []image.Summary{{ID: "sha256:1"}}}), nil)}
		p.want = task.spec(func(string, string, string) {})
		got, err := p.loses(t.Context(), c)
		if err != nil || strings.Join(got, "; ") != want {
			t.Errorf("it loses %q, %v; want %q", strings.Join(got, "; "), err, want)
		}
	}
	m := &MakeContainer{Name: "app", Old: &old{Running: true}, Loses: []string{"the mounts rows:/var/db"}}
	if d := m.Describe(); !strings.Contains(d.Impact, "loses what isn't declared: the mounts rows:/var/db") {
		t.Errorf("it says %q", d.Impact)
	}
}
