package docker

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/system"

	"muster/modules"
)

// parsed are settings as the language gives them.
func parsed(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSettingsAreCheckedOffline(t *testing.T) {
	for _, c := range []struct{ settings, at, want string }{
		{`{"log-drive": "x"}`, `["log-drive"]`, `Did you mean "log-driver"?`},
		{`{"registry-mirror": []}`, `["registry-mirror"]`, `Did you mean "registry-mirrors"?`},
		{`{"live-restore": false}`, `["live-restore"]`, "live_restore = false"},
		{`{"debug": "yes"}`, `["debug"]`, "takes a bool, not a string"},
		{`{"dns": "10.0.0.1"}`, `["dns"]`, "takes a list, not a string"},
		{`{"dns": ["10.0.0.1", "ten"]}`, `["dns"][1]`, `"ten" is no IP address`},
		{`{"log-opts": ["max-size=1m"]}`, `["log-opts"]`, "takes a map, not a list"},
		{`{"log-opts": {"tag": {}}}`, `["log-opts"]["tag"]`, "takes a string, not a map"},
		{`{"mtu": 1.5}`, `["mtu"]`, "takes a whole number, not the number 1.5"},
		{`{"mtu": -1}`, `["mtu"]`, "is below 0"},
		{`{"log-level": "warning"}`, `["log-level"]`, `Did you mean "warn"?`},
		{`{"bip": "172.30.0.1"}`, `["bip"]`, "with its network's size"},
		{`{"default-shm-size": "64 parsecs"}`, `["default-shm-size"]`, "is no size"},
		{`{"labels": ["a"]}`, `["labels"][0]`, `isn't of the form "name=value"`},
		{`{"labels": ["a=1", "a=2"]}`, `["labels"][1]`, `two values, "1" and "2"`},
		{`{"registry-mirrors": ["mirror.example.com"]}`, `["registry-mirrors"][0]`, "is no mirror"},
		{`{"insecure-registries": ["http://registry:5000"]}`, `["insecure-registries"][0]`, "is no registry"},
		{`{"data-root": "docker"}`, `["data-root"]`, "is no absolute path"},
		{`{"hosts": ["/run/docker.sock"]}`, `["hosts"][0]`, "is no address to listen on"},
		{`{"hosts": ["tcp://127.0.0.1:2376"]}`, `["hosts"]`, `add "unix:///run/docker.sock"`},
		{`{"default-runtime": "runsc"}`, `["default-runtime"]`, `define it in "runtimes"`},
		{`{"runtimes": {"runc": {"path": "/x"}}}`, `["runtimes"]["runc"]`, "another name"},
		{`{"runtimes": {"runsc": {"paht": "/x"}}}`, `["runtimes"]["runsc"]["paht"]`, `Did you mean "path"?`},
		{`{"default-address-pools": [{"base": "172.30.0.0/16", "size": "24"}, {"bas": "172.30.0.0/16"}]}`, `["default-address-pools"][1]["bas"]`, `Did you mean "base"?`},
		{`{"default-ulimits": {"nofile": {"Name": "nofile", "Hard": "many"}}}`, `["default-ulimits"]["nofile"]["Hard"]`, "takes a whole number"},
		{`{"builder": {"gc": {"enabled": 1}}}`, `["builder"]["gc"]["enabled"]`, "takes a bool"},
		{`{"features": {"buildkit": 3}}`, `["features"]["buildkit"]`, "takes a bool"},
		{`{"host-gateway-ip": "10.0.0.1", "host-gateway-ips": ["10.0.0.1"]}`, `["host-gateway-ip"]`, "old name"},
	} {
		e := &Engine{Settings: parsed(t, c.settings)}
		errs := e.Check(func(string) bool { return false })
		if len(errs) != 1 || errs[0].Arg != "settings" || errs[0].Path != c.at || !strings.Contains(errs[0].Detail+errs[0].Hint, c.want) {
			t.Errorf("%s: %+v, want %s at %s", c.settings, errs, c.want, c.at)
		}
	}
}

func TestSettingsAreWrittenAsDockerTakesThem(t *testing.T) {
	given := parsed(t, `{
		"log-opts": {"max-file": 3, "compress": true}, "debug": "true", "mtu": "1400", "dns": [], "labels": null, "features": {"buildkit": true},
		"runtimes": {"runsc": {"path": "/usr/bin/runsc", "runtimeArgs": ["--x"]}}, "default-runtime": "runsc", "hosts": ["fd://"],
		"builder": {"GC": {"Enabled": true, "defaultKeepStorage": "10GB", "policy": [{"keepStorage": "1GB", "filter": ["unused-for=24h"], "all": true}]}},
		"registry-mirrors": ["https://a.example.com/"], "insecure-registries": ["10.0.0.0/8", "r:5000"], "default-shm-size": "64M"}`)
	e := &Engine{Settings: given, LiveRestore: true}
	if errs := e.Check(func(string) bool { return false }); errs != nil {
		t.Fatal(errs)
	}
	const want = `{"builder":{"GC":{"Enabled":true,"defaultKeepStorage":"10GB","policy":[{"all":true,"filter":["unused-for=24h"],"keepStorage":"1GB"}]}},` +
		`"debug":true,"default-runtime":"runsc","default-shm-size":"64M","dns":[],"features":{"buildkit":true},"hosts":["fd://"],"insecure-registries":["10.0.0.0/8","r:5000"],` +
		`"live-restore":true,"log-opts":{"compress":"true","max-file":"3"},"mtu":1400,"registry-mirrors":["https://a.example.com/"],"runtimes":{"runsc":{"path":"/usr/bin/runsc","runtimeArgs":["--x"]}}}`
	if got := encodeSetting(e.settings(nil)); got != want {
		t.Errorf("it is\n%s\nwant\n%s", got, want)
	}
}

// What isn't known yet is no mistake.
func TestUnknownSettingsAreNoMistake(t *testing.T) {
	r := modules.NewRegistry(Kinds()...)
	for _, args := range []map[string]any{
		{"settings": modules.UnknownValue{}},
		{"settings": map[string]any{"hosts": []any{modules.UnknownValue{}}, "runtimes": modules.UnknownValue{}, "default-runtime": "runsc", "mtu": modules.UnknownValue{}}},
		{"live_restore": modules.UnknownValue{}},
	} {
		if _, errs := r.Decode("docker_engine", args); errs != nil {
			t.Errorf("%v: %v", args, errs)
		}
	}
}

func TestReloadIsEnoughWhereTheDaemonLoadsAllThatChanged(t *testing.T) {
	all := daemonSettings()
	for _, c := range []struct {
		key, old, new string
		reload        bool
	}{
		{"labels", "", `["a=1"]`, true},
		{"labels", `["a=1"]`, "", false},
		{"live-restore", "true", "false", true},
		{"max-concurrent-uploads", "5", "", true},
		{"authorization-plugins", `["a"]`, "", true},
		{"log-driver", "", `"journald"`, false},
		{"features", `{"buildkit": true}`, `{"buildkit": false}`, true},
		{"features", `{"buildkit": true}`, `{"buildkit": true, "containerd-snapshotter": true}`, false},
		{"features", `{"containerd-snapshotter": true}`, `{"buildkit": true}`, false},
		{"features", `{"buildkit": true}`, "", false},
	} {
		value := func(text string) (v any) {
			_ = json.Unmarshal([]byte(text), &v)
			return v
		}
		if got := all[c.key].reloadable(c.key, value(c.old), value(c.new)); got != c.reload {
			t.Errorf("%s from %s to %s: a reload is enough: %v", c.key, c.old, c.new, got)
		}
	}
}

// The unit's flags are those that systemd passes: parts of units in order, lists that are
// emptied, variables from the unit and from files, continued lines.
func TestFlagsOfTheUnit(t *testing.T) {
	p := unitParser{vars: map[string]unitVariable{}}
	p.unit("main", "[Unit]\nExecStart=/no\n[Service]\nEnvironment=A=1 \"OPTS=-D --label x=1\"\nEnvironmentFile=-/gone\nExecStart=/usr/sbin/dockerd -H fd:// $OPTS\n")
	p.unit("drop", "[Service]\n# ExecStart=/commented\nExecStart=\nExecStart=-/usr/bin/dockerd -H fd:// --log-opt max-size=1m \\\n  --mtu=1400 $OPTS ${NONE} --live-restore -s=vfs --tls\n")
	s := p.start()
	var got []string
	for _, f := range s.flags {
		got = append(got, f.String()+" "+f.from)
	}
	want := []string{"-H fd:// drop", "--log-opt max-size=1m drop", "--mtu 1400 drop", "-D main", "--label x=1 main", "--live-restore drop", "-s vfs drop", "--tls drop"}
	if s.program != "/usr/bin/dockerd" || !slices.Equal(got, want) {
		t.Errorf("%s %q, want %q", s.program, got, want)
	}
	for key, name := range map[string]string{"hosts": "H", "debug": "D", "labels": "label", "storage-driver": "s", "log-opts": "log-opt", "live-restore": "live-restore", "dns": ""} {
		f := s.of(key)
		if (f == nil) != (name == "") || f != nil && f.name != name {
			t.Errorf("%s: %v", key, f)
		}
	}
	if err := flagConflict(map[string]any{"debug": true}, s); err == nil || !strings.Contains(err.Error(), `the flag "-D" in main`) {
		t.Error(err)
	}
	if err := flagConflict(map[string]any{"live-restore": true}, s); err == nil || !strings.Contains(err.Error(), "by live_restore, for") {
		t.Error(err)
	}
}

func TestUnitThatReadsAnotherFileIsRefused(t *testing.T) {
	s := &unitStart{program: "dockerd", flags: []unitFlag{{"H", "fd://", "main"}, {"config-file", "/etc/other.json", "main"}}}
	if err := flagConflict(nil, s); err == nil || !strings.Contains(err.Error(), `the flag "--config-file /etc/other.json" in main`) || !strings.Contains(err.Error(), `ExecStart=dockerd -H fd://\n`) {
		t.Error(err)
	}
	s.flags[1].value = configFile
	if err := flagConflict(nil, s); err != nil {
		t.Error(err)
	}
}

// Live restore has a default: a unit that gives it as a flag already isn't in its way.
func TestLiveRestoreThatTheUnitGivesIsLeftToIt(t *testing.T) {
	for _, c := range []struct {
		flag string
		want bool
		err  bool
	}{{"", true, false}, {"true", true, false}, {"false", false, false}, {"false", true, true}, {"", false, true}} {
		s := &unitStart{flags: []unitFlag{{"live-restore", c.flag, "main"}}}
		want := (&Engine{LiveRestore: c.want}).settings(s)
		if err := flagConflict(want, s); (err != nil) != c.err || !c.err && len(want) > 0 {
			t.Errorf("--live-restore=%s, live_restore = %v: %v, %v", c.flag, c.want, want, err)
		}
	}
}

func TestDaemonThatAnybodyMayUseIsSaid(t *testing.T) {
	for settings, want := range map[string]string{
		`{"hosts": ["fd://"]}`: "", `{"hosts": ["fd://", "tcp://127.0.0.1:2375"]}`: "", `{"hosts": ["fd://", "tcp://0.0.0.0:2375"]}`: "tcp://0.0.0.0:2375",
		`{"hosts": ["tcp://0.0.0.0:2376"], "tlsverify": true}`: "", `{"hosts": ["tcp://0.0.0.0:2376"], "tls": true}`: "tcp://0.0.0.0:2376",
	} {
		if got := openHost(parsed(t, settings)); got != want {
			t.Errorf("%s: %q, want %q", settings, got, want)
		}
	}
}

func TestWhatTheDaemonTellsIsComparedAsItMeansIt(t *testing.T) {
	info := &system.Info{
		LoggingDriver: "json-file", DefaultRuntime: "runc", Labels: []string{"b=2", "a=1"}, Driver: "overlay2", CgroupDriver: "cgroupfs", Debug: true,
		RegistryConfig: &registry.ServiceConfig{
			Mirrors:               []string{"https://m.example.com/"},
			InsecureRegistryCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("10.9.0.0/16")},
			IndexConfigs:          map[string]*registry.IndexInfo{"docker.io": {Secure: true}, "r:5000": {}},
		},
	}
	differs := func(settings string, flags ...unitFlag) string {
		var list []string
		for key, agrees := range toldBy(parsed(t, settings), info, &unitStart{flags: flags}) {
			if !agrees {
				list = append(list, key)
			}
		}
		slices.Sort(list)
		return fmt.Sprint(list)
	}
	const right = `"debug": true, "labels": ["a=1", "b=2"], "registry-mirrors": ["https://m.example.com"], "insecure-registries": ["10.9.1.2/16", "127.0.0.0/8", "r:5000"]`
	for settings, want := range map[string]string{
		"{" + right + "}": "[]",
		"{" + right + `, "exec-opts": ["native.cgroupdriver=cgroupfs"], "storage-driver": "overlay2", "log-driver": "json-file"}`: "[]",
		"{" + right + `, "exec-opts": ["native.cgroupdriver=systemd"], "storage-driver": "vfs", "live-restore": true}`:            "[exec-opts live-restore storage-driver]",
		"{}": "[debug insecure-registries labels registry-mirrors]",
	} {
		if got := differs(settings); got != want {
			t.Errorf("%s: differs in %s, want %s", settings, got, want)
		}
	}
	if got := differs("{"+strings.Replace(right, `"debug": true, `, "", 1)+"}", unitFlag{name: "D"}); got != "[]" {
		t.Errorf("where the unit has -D: %s", got)
	}
}

// Every key can be told from the command line, and every default of a form is sound.
func TestKeysOfDaemonJSONAreTold(t *testing.T) {
	all := daemonSettings()
	for key, s := range all {
		if s.since != 0 && s.missing(s.since-1) == "" || s.until != 0 && s.missing(s.until+1) == "" || s.missing(0) != "" {
			t.Errorf("%s: its versions", key)
		}
		if len(s.names(key)) == 0 {
			t.Errorf("%s: no flag", key)
		}
	}
}
