package logstash

import (
	"slices"
	"strings"
	"testing"
)

func TestSettingsAreComparedByMeaning(t *testing.T) {
	const text = "# top\npipeline:\n  workers: \"2\" # two\n  batch:\n    size: 125\nqueue.max_bytes: 1gb\nconfig.reload.interval: 3s\npath.plugins: [ /a, /b ]\nlog.level: info"
	for _, c := range []struct {
		name string
		want map[string]string
		is   string
	}{
		{"nothing is asked for", nil, text},
		{"all is as it is", map[string]string{"pipeline.workers": "2", "queue.max_bytes": `"1024mb"`, "config.reload.interval": `"3000ms"`, "path.plugins": `["/a","/b"]`}, text},
		{"one in another, with its comment", map[string]string{"pipeline.workers": "4"}, strings.Replace(text, `"2" # two`, "4 # two", 1)},
		{"one of its own, the last of a file without an end of line", map[string]string{"log.level": `"warn"`}, strings.Replace(text, "level: info", "level: \"warn\"\n", 1)},
		{"a list", map[string]string{"path.plugins": `["/c"]`}, strings.Replace(text, "[ /a, /b ]", `["/c"]`, 1)},
		{"one that is new", map[string]string{"queue.type": `"persisted"`}, text + "\nqueue.type: \"persisted\"\n"},
		{"a longer time", map[string]string{"config.reload.interval": `"4s"`}, strings.Replace(text, "interval: 3s", `interval: "4s"`, 1)},
	} {
		f, err := parseSettings(text)
		if err != nil {
			t.Fatal(err)
		}
		is, err := f.with(c.want)
		if err != nil || is != c.is {
			t.Errorf("%s: %v\n%s", c.name, err, is)
		}
	}
}

func TestSettingsThatCannotBeChangedByALineAreNamed(t *testing.T) {
	for _, text := range []string{"log.level: |\n  info\n", "log.level:\n  - info\n  - warn\n", "log: { level: info, format: plain }\n", "a: &x info\nlog.level: *x\n"} {
		f, err := parseSettings(text)
		if err != nil {
			t.Fatal(err)
		}
		is, err := f.with(map[string]string{"log.level": `"warn"`})
		if err == nil {
			if f, err = parseSettings(is); err != nil || f.get("log.level") != "warn" {
				t.Errorf("%q became %q", text, is)
			}
		} else if !strings.Contains(err.Error(), "log.level") && !strings.Contains(err.Error(), "one by one") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"- a\n", "a: 1\na: 2\n", "a.b: 1\na:\n  b: 2\n", "a: [\n"} {
		if _, err := parseSettings(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestPipelinesKeepTheLinesOfOthers(t *testing.T) {
	const text = "# top\n\n- pipeline.id: a\n  path.config: /a.conf # here\n\n# of b\n- path.config: \"/b.conf\"\n  pipeline:\n    id: b\n    workers: 2\n# end\n"
	f, err := parsePipelines(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, is, want string }{
		{"the same", f.with("b", map[string]string{"path.config": `"/b.conf"`, "pipeline.workers": "2", "config.string": ""}), text},
		{"another value", f.with("b", map[string]string{"pipeline.workers": "3"}), strings.Replace(text, "- path.config: \"/b.conf\"\n  pipeline:\n    id: b\n    workers: 2\n", "- pipeline.id: \"b\"\n  path.config: \"/b.conf\"\n  pipeline.workers: 3\n", 1)},
		{"a new one", f.with("c", map[string]string{"path.config": `"/c.conf"`}), text + "- pipeline.id: \"c\"\n  path.config: \"/c.conf\"\n"},
		{"without the first", f.without([]string{"a"}), strings.Replace(text, "- pipeline.id: a\n  path.config: /a.conf # here\n", "", 1)},
		{"without all", f.without([]string{"a", "b"}), "# top\n\n# end\n"},
	} {
		if c.is != c.want {
			t.Errorf("%s:\n%s", c.name, c.is)
		}
	}
	for _, text := range []string{"a: 1\n", "- pipeline.id: a\n- pipeline.id: a\n", "[{pipeline.id: a}]\n", "- a\n", "- {pipeline.id: a\n"} {
		if _, err := parsePipelines(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for _, text := range []string{"", "# none\n", "[]\n"} {
		f, err := parsePipelines(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if f, err = parsePipelines(f.with("a", map[string]string{"path.config": `"/a"`})); err != nil || !slices.Equal(f.ids(), []string{"a"}) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestInputsThatListenAreFound(t *testing.T) {
	const text = `
# input { tcp { port => 1 } }
input {
  beats { port => 5044 add_field => { "port" => "2" } codec => json { port => 3 } }
  if [a] { tcp { mode => "client" host => "a" port => 4 } }
  tcp { port => "${PORT:5000}" host => "127.0.0.1" }
  udp { port => "${UNKNOWN}" }
  http { }
  syslog { port => 5514 host => '0.0.0.0' }
}
filter { if "tcp { port => 5" in [message] { mutate { add_field => { "a" => "b" } } } }
output { tcp { host => "b" port => 6 } http { url => "http://a:7" } }
`
	var got []string
	for _, l := range listeners("a", text, map[string]string{"PORT": "5001"}) {
		got = append(got, l.host+" "+l.String())
	}
	want := []string{" tcp/5044 (beats)", "127.0.0.1 tcp/5001 (tcp)", " tcp/8080 (http)", " tcp/5514 (syslog)", " udp/5514 (syslog)"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestTwoInputsOnOnePort(t *testing.T) {
	input := func(text string) []listener { return listeners("x", "input { "+text+" }", nil) }
	for _, c := range []struct {
		a, b  string
		clash bool
	}{
		{"tcp { port => 1 }", "beats { port => 1 }", true},
		{"tcp { port => 1 }", "udp { port => 1 }", false},
		{`tcp { port => 1 host => "127.0.0.1" }`, `tcp { port => 1 host => "10.0.0.1" }`, false},
		{`tcp { port => 1 host => "127.0.0.1" }`, `tcp { port => 1 host => "::" }`, true},
		{"syslog { port => 1 }", "udp { port => 1 }", true},
	} {
		if a, _ := clash(append(input(c.a), input(c.b)...)); (a != nil) != c.clash {
			t.Errorf("%s and %s: %v", c.a, c.b, a)
		}
	}
}

func TestVariablesThatHaveToBeDefined(t *testing.T) {
	var got []string
	for _, n := range needs("# ${A}\ninput { x { a => \"${B}${C:1}\" b => '${d.e}' c => \"$F {G} %{h}\" } }") {
		got = append(got, n.name)
		if n.line != 2 {
			t.Errorf("%s is in line %d", n.name, n.line)
		}
	}
	if !slices.Equal(got, []string{"B", "d.e"}) {
		t.Errorf("%q", got)
	}
}

func TestBothSizesOfTheHeap(t *testing.T) {
	for _, c := range []struct{ old, want string }{
		{"-Xms1g\n-Xmx1g\n", "-Xms2g\n-Xmx2g\n"},
		{"-Xms2048m\n-Xmx2g\n", "-Xms2048m\n-Xmx2g\n"},
		{"#-Xmx1g\n-Da=b", "#-Xmx1g\n-Da=b\n-Xms2g\n-Xmx2g\n"},
		{"-Xmx1g\n-Xmx2g\n", "-Xmx2g\n-Xms2g\n"},
		{"", "-Xms2g\n-Xmx2g\n"},
	} {
		if got := withHeap(c.old, "2g"); got != c.want {
			t.Errorf("%q: %q", c.old, got)
		}
	}
	if tooMuch("2g", 4<<30) != "" || !strings.Contains(tooMuch("2049m", 4<<30), "more than half") {
		t.Error("half of the memory is what a heap may be")
	}
}

func TestArgumentsThatAreRefused(t *testing.T) {
	known := func(string) bool { return false }
	for _, c := range []struct {
		name string
		s    Server
		want string
	}{
		{"a heap that is none", Server{Heap: "half"}, "no size of a heap"},
		{"a keystore's value with a line break", Server{Keystore: map[string]string{"A": "a\nb"}}, "one line of ASCII"},
		{"an empty value", Server{Keystore: map[string]string{"A": ""}}, "not empty"},
		{"a name for the command line", Server{Keystore: map[string]string{"--help": "a"}}, "is no name"},
		{"two names that are one", Server{Keystore: map[string]string{"A": "a", "a": "b"}}, "for one name"},
		{"pipelines elsewhere", Server{Settings: map[string]any{"path": map[string]any{"config": "/a"}}}, "pipelines.yml"},
		{"no API", Server{Settings: map[string]any{"api.enabled": false}}, "API"},
		{"another keystore", Server{Settings: map[string]any{"keystore.file": "/a"}}, "keystore"},
		{"a path as a pipeline", Server{Pipelines: &[]string{"../a"}}, "no pipeline's name"},
	} {
		if errs := c.s.Check(known); len(errs) != 1 || !strings.Contains(errs[0].Detail, c.want) {
			t.Errorf("%s: %v", c.name, errs)
		}
	}
	for _, p := range []Pipeline{{ID: "../a", State: "absent"}, {ID: "a", State: "present"}, {ID: "a", State: "absent", Queue: "memory"}} {
		if errs := p.Check(known); len(errs) != 1 {
			t.Errorf("%+v: %v", p, errs)
		}
	}
	if errs := (&Pipeline{State: "present"}).Check(func(string) bool { return true }); len(errs) > 0 {
		t.Errorf("what isn't known is taken for wrong: %v", errs)
	}
}

func TestWhereTheNodeAnswers(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "127.0.0.1:9600 127.0.0.1:9601 127.0.0.1:9602 127.0.0.1:9603 127.0.0.1:9604 127.0.0.1:9605 127.0.0.1:9606 127.0.0.1:9607"},
		{"api.http:\n  host: 0.0.0.0\n  port: 9700\n", "127.0.0.1:9700"},
		{"http.host: '::1'\nhttp.port: 9601-9602\n", "[::1]:9601 [::1]:9602"},
		{"api.http.port: ${P}\n", "127.0.0.1:1234"},
		{"api.enabled: false\n", "turned off"},
		{"api.http.port: ${Q}\n", "isn't in Logstash's environment"},
	} {
		f, err := parseSettings(c.text)
		if err != nil {
			t.Fatal(err)
		}
		a, err := apiOf(f, map[string]string{"P": "1234"})
		if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && strings.Join(a.addresses, " ") != c.want {
			t.Errorf("%q: %v %v", c.text, a, err)
		}
	}
}
