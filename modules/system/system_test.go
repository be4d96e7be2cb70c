package system

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/host"
	"muster/modules"
	"muster/modules/file"
	"muster/modules/modulestest"
)

func TestConformance(t *testing.T) { modulestest.Run(t, append(Kinds(), file.Kinds()...)...) }

func TestParametersAreFoundWhereTheKernelShowsThem(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.ip_forward":               "/proc/sys/net/ipv4/ip_forward",
		"net/ipv4/conf/eth0.100/forwarding": "/proc/sys/net/ipv4/conf/eth0.100/forwarding",
		"net.ipv4.conf.eth0/100.forwarding": "/proc/sys/net/ipv4/conf/eth0.100/forwarding",
		"net/ipv4/conf/default/rp_filter":   "/proc/sys/net/ipv4/conf/default/rp_filter",
	} {
		if got := parameterPath(name); got != want {
			t.Errorf("%s is at %s, want %s", name, got, want)
		}
	}
}

func TestAParametersLineIsEdited(t *testing.T) {
	for _, test := range []struct {
		name, text, value string
		absent            bool
		want              string
	}{
		{"a new file", "", "1", false, "net.x.y = 1\n"},
		{"appended, with a final newline first", "# c\nkernel.a=2", "1", false, "# c\nkernel.a=2\nnet.x.y = 1\n"},
		{"replaced in its place", "net.x.y=0\nkernel.a=2\n", "1", false, "net.x.y = 1\nkernel.a=2\n"},
		{"written otherwise, and right", "net/x/y=1\n", "1", false, "net/x/y=1\n"},
		{"spaces don't count", "net.x.y = 1\t2\n", "1 2", false, "net.x.y = 1\t2\n"},
		{"set twice", "net.x.y=1\nnet.x.y=2\n", "1", false, "net.x.y=1\n"},
		{"with errors ignored", "-net.x.y=0\n", "1", false, "net.x.y = 1\n"},
		{"commented out", "#net.x.y=0\n", "1", false, "#net.x.y=0\nnet.x.y = 1\n"},
		{"a longer name", "net.x.yy=0\n", "1", false, "net.x.yy=0\nnet.x.y = 1\n"},
		{"taken out", "a.b=1\nnet.x.y=0\n", "", true, "a.b=1\n"},
		{"never there", "a.b=1", "", true, "a.b=1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := editParameter(test.text, "net.x.y", test.value, test.absent); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	registry := modules.NewRegistry(Kinds()...)
	for _, test := range []struct {
		name, kind string
		args       map[string]any
		want       string // "" where they are right
	}{
		{"a number as value", "sysctl", map[string]any{"name": "net.ipv4.ip_forward", "value": int64(1)}, ""},
		{"no value", "sysctl", map[string]any{"name": "net.ipv4.ip_forward"}, "needs its"},
		{"a path that leaves", "sysctl", map[string]any{"name": "../../etc/passwd", "value": "x"}, "no kernel parameter"},
		{"two lines", "sysctl", map[string]any{"name": "a.b", "value": "1\nc.d = 2"}, "a single line"},
		{"a value for what is absent", "sysctl", map[string]any{"name": "a.b", "value": "1", "state": "absent"}, "has no value"},
		{"a host name", "hostname", map[string]any{"name": "db1.example.org"}, ""},
		{"an underscore", "hostname", map[string]any{"name": "db_1"}, "no host name"},
		{"too long", "hostname", map[string]any{"name": strings.Repeat("a", 65)}, "no host name"},
		{"a zone", "timezone", map[string]any{"name": "America/Argentina/Buenos_Aires"}, ""},
		{"a zone that leaves", "timezone", map[string]any{"name": "../../../etc/passwd"}, "no time zone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, errs := registry.Decode(test.kind, test.args)
			var all []string
			for _, e := range errs {
				all = append(all, e.Error())
			}
			got := strings.Join(all, "\n")
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestUnchangedParameterRunsNoProgram(t *testing.T) {
	const name = "net.ipv4.ip_forward"
	value, err := os.ReadFile(parameterPath(name))
	if err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "x.conf")
	if err := os.WriteFile(file, []byte(name+" = "+string(value)), 0o644); err != nil {
		t.Fatal(err)
	}
	h := host.New()
	asked := &modulestest.Counting{Runner: h.Runner}
	h.Runner = asked
	s := &Sysctl{Name: name, Value: strings.TrimSpace(string(value)), File: file}
	if got, err := s.Plan(t.Context(), host.NewView(h, nil)); err != nil || len(got.Changes) > 0 {
		t.Fatal(got, err)
	}
	if asked.Runs > 0 {
		t.Errorf("an unchanged parameter runs %d programs", asked.Runs)
	}
}
