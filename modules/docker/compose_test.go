package docker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"

	"muster/host"
	"muster/modules"
)

func composed(src string) *Compose {
	c := host.ContentOf([]byte(src), false)
	return &Compose{Name: "shop", Source: &c, State: "running", Pull: "missing", Wait: modules.Duration(time.Minute)}
}

const aShop = `
name: shop
x-common: &common
  restart: unless-stopped
  labels: {team: web}
services:
  web:
    <<: *common
    image: registry:5000/shop:${TAG:-1.0}
    command: serve --title "My $$shop" 'a b'
    entrypoint: ["/bin/tini", "--"]
    environment:
      DATABASE: "postgres://app@db/${NAME}"
      WORKERS: 4
      INHERITED:
    ports:
      - "80:8080"
      - 127.0.0.1:9000-9001:9000-9001/udp
      - {target: 443, published: "8443", host_ip: "::1", protocol: tcp}
    volumes:
      - uploads:/srv/uploads
      - /etc/shop:/etc/shop:ro
      - {type: volume, source: cache, target: /cache, read_only: true}
    networks: [front, default]
    secrets:
      - key
      - {source: db-password, target: password}
    depends_on:
      db: {condition: service_healthy}
    user: 1000:1000
    mem_limit: 512m
    cpus: 0.5
    stop_grace_period: 1m30s
  db:
    image: postgres:16
    container_name: the-db
    restart: on-failure:3
    environment:
      - POSTGRES_DB=${NAME}
      - EMPTY=
    deploy: {resources: {limits: {memory: 1g, cpus: "2"}}}
    healthcheck: {test: ["CMD", "pg_isready"], interval: 5s, retries: 5}
  metrics:
    image: metrics
    network_mode: host
    healthcheck: {disable: true}
    pull_policy: always
networks:
  front: {internal: true, ipam: {config: [{subnet: 10.20.0.0/24}]}}
volumes:
  uploads:
  cache: {external: true, name: shared-cache}
secrets:
  key: {external: true}
  db-password: {environment: DB_PASSWORD}
`

func TestServicesOfAComposeFile(t *testing.T) {
	task := composed(aShop)
	task.Env = map[string]string{"NAME": "shop", "INHERITED": "yes", "DB_PASSWORD": "hunter2"}
	task.Secrets = map[string]string{"key": "k"}
	if errs := task.Check(func(string) bool { return false }); len(errs) > 0 {
		t.Fatal(errs)
	}
	r := &fileReader{composeReader: composeReader{env: task.Env}, task: task}
	p := r.read([]byte(aShop))
	var got []*Container
	for _, s := range p.services {
		got = append(got, s.container)
	}
	labels := func(service string, more ...string) map[string]string {
		m := map[string]string{projectLabel: "shop", serviceLabel: service}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	minute, seconds := modules.Duration(90*time.Second), modules.Duration(5*time.Second)
	want := []*Container{
		{Name: "the-db", Image: "postgres:16", Env: map[string]string{"POSTGRES_DB": "shop", "EMPTY": ""}, Memory: "1g", CPUs: 2, Restart: "on-failure:3", Labels: labels("db"), Networks: []string{"shop_default"},
			Health: &Health{Test: modules.OneOrMore{"CMD", "pg_isready"}, Interval: &seconds, Retries: 5}, aliases: []string{"db"}},
		{Name: "shop-web", Image: "registry:5000/shop:1.0", Command: []string{"serve", "--title", "My $shop", "a b"}, Entrypoint: []string{"/bin/tini", "--"},
			Env: map[string]string{"DATABASE": "postgres://app@db/shop", "WORKERS": "4", "INHERITED": "yes"}, Ports: []string{"80:8080", "127.0.0.1:9000:9000/udp", "127.0.0.1:9001:9001/udp", "[::1]:8443:443/tcp"},
			Volumes: []string{"shop_uploads:/srv/uploads", "/etc/shop:/etc/shop:ro", "shared-cache:/cache:ro"}, Networks: []string{"shop_front", "shop_default"}, Secrets: map[string]string{"key": "k", "password": "hunter2"},
			User: "1000:1000", Memory: "512m", CPUs: 0.5, StopTimeout: &minute, Restart: "unless-stopped", Labels: labels("web", "team", "web"), aliases: []string{"web"}},
		{Name: "shop-metrics", Image: "metrics", Networks: []string{"host"}, Health: &Health{Test: modules.OneOrMore{"none"}}, Pull: "always", Restart: "no", Labels: labels("metrics")},
	}
	for _, c := range want {
		c.Wait, c.State = task.Wait, "running"
		if c.Pull == "" {
			c.Pull = "missing"
		}
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(Container{})); d != "" {
		t.Error(d)
	}
	wantNetworks := []*Network{
		{Name: "shop_front", Internal: pointer(true), Subnet: modules.OneOrMore{"10.20.0.0/24"}, Labels: map[string]string{projectLabel: "shop"}, State: "present"},
		{Name: "shop_default", Labels: map[string]string{projectLabel: "shop"}, State: "present"},
	}
	if d := cmp.Diff(wantNetworks, p.networks, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]*Volume{{Name: "shop_uploads", State: "present"}}, p.volumes); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]external{{volumes, "shared-cache", 52}}, p.external, cmp.AllowUnexported(external{})); d != "" {
		t.Error(d)
	}
}

func TestWhatAComposeFileIsRefusedFor(t *testing.T) {
	for name, c := range map[string]struct{ src, says string }{
		"build":                        {"services:\n  web:\n    build: .\n", `3: the service web: "build" isn't supported: muster builds no images`},
		"a file of variables":          {"services:\n  web:\n    image: a\n    env_file: .env\n", `4: the service web: "env_file" isn't supported: the host has no such file`},
		"what compose has":             {"services:\n  web:\n    image: a\n    privileged: true\n", `4: the service web: "privileged" isn't supported`},
		"what it doesn't have":         {"services:\n  web:\n    imag: a\n", `3: the service web has no "imag": did you mean "image"?`},
		"a part of deploy":             {"services:\n  web:\n    image: a\n    deploy:\n      replicas: 2\n", `5: the service web: deploy: "replicas" isn't supported`},
		"at the top":                   {"services: {web: {image: a}}\nconfigs:\n  x: {file: x}\n", `2: a compose file: "configs" isn't supported: mount a file`},
		"all at once":                  {"services:\n  web:\n    image: a\n    tty: true\n    dns: 1.1.1.1\n", "4: the service web: \"tty\" isn't supported\n5: the service web: \"dns\" isn't supported"},
		"extensions are passed over":   {"x-a: 1\nservices:\n  web:\n    image: a\n    x-b: [2]\n", ""},
		"no YAML":                      {"services:\n  web: [\n", "2: did not find expected node content"},
		"nothing":                      {"", "1: the file is empty"},
		"no services":                  {"version: '3'\n", "1: the file has no services"},
		"two documents":                {"services: {web: {image: a}}\n---\nservices: {}\n", "2: a second document"},
		"a name twice":                 {"services:\n  web:\n    image: a\n    image: b\n", `4: the service web has "image" already, on line 3`},
		"no image":                     {"services:\n  web:\n    user: app\n", "2: the service web: image: A container is made of an image"},
		"an image that is none":        {"services:\n  web:\n    image: UPPER\n", `3: the service web: "UPPER" is no image`},
		"a port that is none":          {"services:\n  web:\n    image: a\n    ports:\n      - 80:80\n      - 99999:80\n", "6: the service web: "},
		"a port that Docker chooses":   {"services:\n  web:\n    image: a\n    ports: [\"80\"]\n", `4: the service web: "80" publishes no port of the host`},
		"ranges of two lengths":        {"services:\n  web:\n    image: a\n    ports: [\"80-82:80-81\"]\n", "4: the service web: \"80-82:80-81\": both ranges"},
		"one port for two services":    {"services:\n  web:\n    image: a\n    ports: [\"80:80\"]\n  api:\n    image: a\n    ports: [\"127.0.0.1:80:8080\"]\n", "7: the services web and api publish one port of the host, 80"},
		"a mode of a port":             {"services:\n  web:\n    image: a\n    ports:\n      - target: 80\n        published: 80\n        mode: host\n", `7: the service web: ports: "mode" isn't supported`},
		"a file of the project":        {"services:\n  web:\n    image: a\n    volumes:\n      - ./conf:/etc/conf\n", `5: the service web: "./conf" isn't on the host`},
		"a volume without a name":      {"services:\n  web:\n    image: a\n    volumes: [/data]\n", `4: the service web: "/data" is a volume without a name`},
		"a volume that isn't declared": {"services:\n  web:\n    image: a\n    volumes: [data:/data]\n", "4: the service web: there is no volume data in the file"},
		"a mode of a mount":            {"services:\n  web:\n    image: a\n    volumes: [/data:/data:z]\n", `4: the service web: "/data:/data:z": "z" is neither`},
		"a tmpfs":                      {"services:\n  web:\n    image: a\n    volumes: [{type: tmpfs, target: /tmp}]\n", `4: the service web: a mount of the type "tmpfs" isn't supported`},
		"a network that isn't there":   {"services:\n  web:\n    image: a\n    networks: [front]\n", "4: the service web: there is no network front in the file"},
		"an address":                   {"services:\n  web:\n    image: a\n    networks:\n      default: {ipv4_address: 10.0.0.1}\n", `5: the service web: the network default: "ipv4_address" isn't supported`},
		"a secret of the project":      {"services:\n  web:\n    image: a\nsecrets:\n  key: {file: key.pem}\n", `5: the secret key: "file" isn't supported: the host has no such file; write external: true`},
		"a secret without a value":     {"services:\n  web:\n    image: a\nsecrets:\n  key: {external: true}\n", "5: the secret key has no value"},
		"a secret that isn't there":    {"services:\n  web:\n    image: a\n    secrets: [key]\n", "4: the service web: there is no secret key in the file"},
		"an unknown dependency":        {"services:\n  web:\n    image: a\n    depends_on: [db]\n", "4: the service web depends on db, which the file doesn't have"},
		"dependencies in a circle":     {"services:\n  web:\n    image: a\n    depends_on: [db]\n  db:\n    image: b\n    depends_on:\n      web:\n", "8: the service db depends on web, which depends on it"},
		"a condition":                  {"services:\n  web:\n    image: a\n    depends_on:\n      db: {condition: service_completed_successfully}\n  db: {image: b}\n", `5: the service web: the condition "service_completed_successfully" isn't supported`},
		"a variable that isn't set":    {"services:\n  web:\n    image: a:${TAG}\n", "3: the service web: image: ${TAG} has no value: give the task's env one"},
		"a variable that has to be":    {"services:\n  web:\n    image: a:${TAG:?which release}\n", "3: the service web: image: ${TAG}: which release"},
		"a dollar":                     {"services:\n  web:\n    image: a\n    command: echo $ 5\n", `4: the service web: command: "$ 5": write "$$"`},
		"quotes":                       {"services:\n  web:\n    image: a\n    command: echo 'x\n", "4: the service web: command: it has a ' too many"},
		"an empty command":             {"services:\n  web:\n    image: a\n    command: []\n", "4: the service web: command is empty"},
		"another project":              {"name: other\nservices: {web: {image: a}}\n", `1: the file's name is "other", and the task's "shop"`},
		"two limits":                   {"services:\n  web:\n    image: a\n    mem_limit: 1g\n    deploy: {resources: {limits: {memory: 2g}}}\n", "5: the service web has another limit on line 4"},
		"a time":                       {"services:\n  web:\n    image: a\n    stop_grace_period: 10\n", `4: the service web: stop_grace_period: "10" is no time`},
		"a restart policy":             {"services:\n  web:\n    image: a\n    restart: often\n", `4: the service web: "often" is no restart policy`},
		"a label of muster's":          {"services:\n  web:\n    image: a\n    labels: {muster.of: x}\n", `4: the service web: The label "muster.of" is muster's own`},
		"a subnet":                     {"services: {web: {image: a}}\nnetworks:\n  front: {ipam: {config: [{subnet: x}]}}\n", "3: the network front: subnet"},
		"one container for two":        {"services:\n  web: {image: a}\n  api: {image: a, container_name: shop-web}\n", "would have one container, shop-web"},
		"a health check's test":        {"services:\n  web:\n    image: a\n    healthcheck: {test: [curl, localhost]}\n", "4: the service web: a test is a text, or a list that begins with"},
		"aliases without end":          {"x-a: &a {<<: *a}\nservices:\n  web:\n    <<: *a\n    image: a\n", "aliases stand for too much"},
		"one alias too many":           {"services:\n  web: *nobody\n", "unknown anchor"},
	} {
		t.Run(name, func(t *testing.T) {
			var lines []string
			for _, e := range composed(c.src).Check(func(string) bool { return false }) {
				if e.Arg != "source" {
					t.Errorf("it is an error of %q", e.Arg)
				}
				lines = append(lines, strings.TrimPrefix(e.Detail, "Line "))
			}
			got := strings.Join(lines, "\n")
			want := strings.Split(c.says, "\n")
			if c.says == "" && got != "" || len(lines) != len(want) && c.says != "" {
				t.Errorf("it says\n%s\nwant\n%s", got, c.says)
			}
			for _, w := range want {
				if !strings.Contains(got, w) {
					t.Errorf("it says\n%s\nwant\n%s", got, w)
				}
			}
			if _, err := planned(t, fakeHost(t, &fakeDaemon{}), composed(c.src)); c.says != "" && !strings.Contains(text(err), "line ") {
				t.Errorf("the plan says %v", err)
			}
		})
	}
}

func TestAComposeFileWhoseVariablesAreNotKnownYet(t *testing.T) {
	task := composed("services:\n  web:\n    image: a:${TAG}\n    restart: ${RESTART}\n    tty: true\n")
	errs := task.Check(func(arg string) bool { return arg == "env" })
	if len(errs) != 1 || !strings.Contains(errs[0].Detail, `Line 5: the service web: "tty"`) {
		t.Errorf("it says %v", errs)
	}
}

func TestVariablesOfAComposeFile(t *testing.T) {
	env := map[string]string{"A": "a", "EMPTY": "", "A1": "one"}
	for s, want := range map[string]string{
		"plain": "plain", "$A": "a", "${A}b": "ab", "$A1.": "one.", "$$A": "$A", "$$$A": "$a", "${A:-x}": "a", "${EMPTY:-x}": "x", "${EMPTY-x}": "", "${NONE-x}": "x",
		"${NONE:-${A}}": "a", "${NONE:-${NO:-b}}c": "bc", "${A:+x}": "x", "${EMPTY:+x}": "", "${EMPTY+x}": "x", "${NONE+x}": "", "${EMPTY?no}": "", "${NONE:-}": "",
		"${NONE}": "! ${NONE} has no value", "${NONE:?why}": "! ${NONE}: why", "${EMPTY:?}": "! ${EMPTY}: it has no value", "${": "! has no", "${A": "! has no", "$": "! write \"$$\"", "${1}": "! is no name", "${A!}": "! is no variable", "${A:}": "! is no variable",
	} {
		got, err := interpolate(s, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
		if says, bad := strings.CutPrefix(want, "! "); bad && !strings.Contains(text(err), says) || !bad && (err != nil || got != want) {
			t.Errorf("%q is %q, %v, want %q", s, got, err, want)
		}
	}
}

func TestCommandsAreSplitAsAShellDoes(t *testing.T) {
	for s, want := range map[string][]string{
		"": nil, "  ": nil, "a b": {"a", "b"}, `a "b c"`: {"a", "b c"}, `a 'b "c'`: {"a", `b "c`}, `a\ b`: {"a b"}, `""`: {""}, `x"y"'z'`: {"xyz"}, `"a\"b"`: {`a"b`}, `"a\b"`: {`a\b`}, "a\n\tb": {"a", "b"},
	} {
		if got, err := shellWords(s); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is %q, %v", s, got, err)
		}
	}
	for _, s := range []string{`a "b`, `a 'b`, `a\`} {
		if got, err := shellWords(s); err == nil {
			t.Errorf("%q is %q", s, got)
		}
	}
}

// theService is a container of the project, as it runs.
func theService(name, project string, labels ...string) container.Summary {
	c := joined(name, "running", nil)
	c.Labels = map[string]string{isOf: name, projectLabel: project}
	for _, l := range labels {
		delete(c.Labels, l)
	}
	return c
}

func TestWhatAProjectPlans(t *testing.T) {
	const two = "services:\n  web:\n    image: app:2\n    depends_on: [db]\n  db:\n    image: app:1\n    volumes: [data:/data]\nvolumes:\n  data:\n"
	daemon := func(list ...container.Summary) *fakeDaemon {
		return &fakeDaemon{images: []image.Summary{anImage(1, 1, "app:1", "app@"+digestNumber(1)), anImage(2, 1, "app:2", "app@"+digestNumber(2))}, containers: list}
	}
	for name, c := range map[string]struct {
		src    string
		daemon *fakeDaemon
		alter  func(*Compose)
		says   string // changes, what follows, or the error
	}{
		"all of it, in its order": {two, daemon(), nil, "create network shop_default, create volume shop_data, create container shop-db, create container shop-web"},
		"a service that vanished gives way first, and goes last": {two, daemon(theService("shop-old", "shop")), nil,
			"create network shop_default, create volume shop_data, update container shop-old, create container shop-db, create container shop-web, then delete container shop-old"},
		"that of another project stays":                {two, daemon(theService("other-old", "other")), nil, "create network shop_default, create volume shop_data, create container shop-db, create container shop-web"},
		"a container that another task has made":       {two, daemon(theService("shop-web", "")), nil, "the service web (line 2 of the compose file): there is a container shop-web that another task has made"},
		"a container that nobody of muster's has made": {two, daemon(theService("shop-web", "", isOf)), nil, "the service web (line 2 of the compose file): there is a container shop-web that muster hasn't made"},
		"an external network":                          {"services: {web: {image: app:1, networks: [front]}}\nnetworks:\n  front: {external: true}\n", daemon(), nil, "line 3: network front is external, and there is none on this host"},
		"absent":                                       {two, daemon(theService("shop-web", "shop"), theService("shop-web.muster-old", "shop"), theService("other-web", "other")), func(c *Compose) { c.State = "absent" }, "delete container shop-web, delete container shop-web.muster-old"},
	} {
		t.Run(name, func(t *testing.T) {
			task := composed(c.src)
			if c.alter != nil {
				c.alter(task)
			}
			plan, err := planned(t, fakeHost(t, c.daemon), task)
			var got []string
			for _, d := range plan.Changes {
				got = append(got, fmt.Sprintf("%s %s", d.Describe().Action, d.Describe().Target))
			}
			for _, d := range plan.Then {
				got = append(got, fmt.Sprintf("then %s %s", d.Action, d.Target))
			}
			if says := strings.Join(got, ", ") + text(err); err == nil && says != c.says || !strings.Contains(says, c.says) {
				t.Errorf("it says\n%s\nwant\n%s", says, c.says)
			}
			if err == nil && plan.Atomic != (task.State == "running") {
				t.Errorf("it is atomic: %v", plan.Atomic)
			}
		})
	}
}

func TestAProjectBehindTheEngine(t *testing.T) {
	_, err := planned(t, fakeHost(t, &fakeDaemon{}), composed("services: {web: {image: app:1}}\n"), host.Open(host.Units, unit))
	if !errors.Is(err, host.ErrNotYet) {
		t.Errorf("it says %v", err)
	}
}
