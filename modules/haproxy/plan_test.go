package haproxy

import (
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"muster/host"
)

const running = `global
    user haproxy
defaults
    mode http # a comment
frontend web
    bind :80,[::1]:81,10.0.0.1:8000-8002 ssl crt /etc/haproxy/certs
    bind /run/web.sock
    default_backend app
backend app
    server a 10.0.0.1:80 check weight 10
    server "b" 10.0.0.2:80 check
    server c app.example:80
`

// What can be told while HAProxy runs is told, and nothing else.
func TestWhatIsToldInPlaceOfAReload(t *testing.T) {
	for name, test := range map[string]struct {
		old, new string
		want     []string // nil: a reload
	}{
		"a weight":                      {"weight 10", "weight 20", []string{"set server app/a weight 20"}},
		"a weight that was the default": {`"b" 10.0.0.2:80 check`, `"b" 10.0.0.2:80 check weight 5`, []string{"set server app/b weight 5"}},
		"an address":                    {"10.0.0.1:80 check", "10.0.0.9:81 check", []string{"set server app/a addr 10.0.0.9 port 81"}},
		"an address and a weight":       {"10.0.0.1:80 check weight 10", "10.0.0.9:80 check weight 1", []string{"set server app/a addr 10.0.0.9 port 80", "set server app/a weight 1"}},
		"disabled":                      {`"b" 10.0.0.2:80 check`, `"b" 10.0.0.2:80 check disabled`, []string{"set server app/b state maint"}},
		"spaces and comments":           {"    bind /run/web.sock", "\tbind  /run/web.sock # ours\n\n", []string{}},
		"a name instead of an address":  {"10.0.0.1:80", "web.example:80", nil},
		"a name's port":                 {"app.example:80", "app.example:81", nil},
		"a port that is an offset":      {"10.0.0.1:80", "10.0.0.1:+80", nil},
		"a check":                       {"10.0.0.1:80 check", "10.0.0.1:80", nil},
		"another server":                {"server c app.example:80", "server d app.example:80", nil},
		"one server more":               {"backend app\n", "backend app\n    server z 10.0.0.8:80\n", nil},
		"another port to listen on":     {":80,", ":82,", nil},
		"another backend's server":      {"backend app\n", "backend other\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(running, test.old) {
				t.Fatalf("the configuration has no %q", test.old)
			}
			list, ok := runtime(parse(running), parse(strings.Replace(running, test.old, test.new, 1)))
			var got []string
			for _, c := range list {
				got = append(got, c.Command)
			}
			if ok != (test.want != nil) || !slices.Equal(got, test.want) {
				t.Errorf("told is %q, %v; want %q", got, ok, test.want)
			}
		})
	}
	t.Run("a weight that an agent scales", func(t *testing.T) {
		with := strings.Replace(running, "weight 10", "weight 10 agent-check agent-port 9", 1)
		if _, ok := runtime(parse(with), parse(strings.Replace(with, "weight 10", "weight 20", 1))); ok {
			t.Error("it is told, and the agent scales the one before")
		}
	})
	t.Run("a weight where a default-server line may have it", func(t *testing.T) {
		with := strings.Replace(running, "backend app\n", "backend app\n    default-server weight 7\n", 1)
		if _, ok := runtime(parse(with), parse(strings.Replace(with, "weight 10", "", 1))); ok {
			t.Error("the weight that it has by default is guessed")
		}
	})
}

func TestAddressesThatBindsListenOn(t *testing.T) {
	var got []string
	for _, b := range parse(running).binds {
		got = append(got, net.JoinHostPort(b.host, strconv.Itoa(b.ports[0]))+"-"+strconv.Itoa(b.ports[1]))
	}
	want := []string{":80-80", "[::1]:81-81", "10.0.0.1:8000-8002"}
	if !slices.Equal(got, want) {
		t.Errorf("they are %q, want %q", got, want)
	}
}

// Of what was set through sockets, a reload takes up that alone: with the port that the
// configuration has, whose place the former one would take.
func TestStatesThatAReloadTakesUp(t *testing.T) {
	const answer = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n" +
		"3 app 1 a 10.0.0.1 2 8 10 10 1 6 3 4 6 0 0 0 - 79 - 0 0 - - 0\n" + // drained
		"3 app 2 b 10.0.0.2 2 0 7 1 1 6 3 4 6 0 0 0 - 80 - 0 0 - - 0\n" + // its weight
		"3 app 3 c 10.0.0.3 2 0 1 1 1 6 3 4 6 0 0 0 app.example 80 - 0 0 - - 0\n" + // nothing
		"3 app 4 gone 10.0.0.4 2 8 1 1 1 6 3 4 6 0 0 0 - 80 - 0 0 - - 0\n" + // not there any more
		"4 other 1 a 10.0.0.5 0 4 1 1 1 6 3 4 6 0 0 0 - 80 - 0 0 - - 0\n" // by the configuration
	file, _ := kept(answer, parse(running), parse(running), &parsed{})
	lines := strings.Split(strings.TrimSpace(file), "\n")
	want := []string{"1", lines[1], "3 app 1 a - 2 8 10 10 1 6 3 4 6 0 0 0 - 80 - 0 0 - - 0", "3 app 2 b - 2 0 7 1 1 6 3 4 6 0 0 0 - 80 - 0 0 - - 0"}
	if !slices.Equal(lines, want) {
		t.Errorf("they are\n%s", file)
	}
}

// What muster told HAProxy while it ran is the configuration's, which the next one may
// change; what somebody has set beside it stays.
func TestWhatWasToldIsNotKept(t *testing.T) {
	head := "1\n" + stateHeader + "\n"
	server := func(admin, weight, initial string) string {
		return head + "3 app 1 a 10.0.0.1 2 " + admin + " " + weight + " " + initial + " 1 6 3 4 6 0 0 0 - 80 - 0 0 - - 0\n"
	}
	with := func(more string) *parsed { return parse("backend app\n  server a 10.0.0.1:80 " + more + "\n") }
	none := &parsed{}
	for name, test := range map[string]struct {
		answer           string
		was, want, tried *parsed
		kept             string // state, weight, initial weight; "" where nothing is
	}{
		"a weight that was told":                         {server("0", "10", "90"), with("weight 10"), with("weight 90"), none, ""},
		"disabled, as was told":                          {server("1", "1", "1"), with("disabled"), with(""), none, ""},
		"a weight that somebody has set":                 {server("0", "5", "90"), with("weight 90"), with("weight 90"), none, "0 5 90"},
		"one set after one was told":                     {server("0", "5", "90"), with("weight 10"), with("weight 10"), none, "0 5 10"},
		"one set, where the configuration changes it":    {server("8", "5", "90"), with("weight 90"), with("weight 20"), none, "8 20 20"},
		"drained, with a weight that was told":           {server("8", "10", "90"), with("weight 10"), with("weight 90"), none, "8 90 90"},
		"a weight set of one that was told its disabled": {server("1", "5", "1"), with("disabled"), with(""), none, "0 5 1"},
		"nothing is known of what was loaded":            {server("0", "1", "1"), parse(""), with("weight 90"), none, ""},
		"a weight that was told in vain":                 {server("0", "8", "5"), with("weight 5"), with("weight 5"), parse(with("weight 8").told([]told{{Command: "set server app/a weight 8"}})), ""},
		"one that somebody had set before that":          {server("0", "9", "5"), with("weight 5"), with("weight 5"), parse(with("weight 8").told([]told{{Command: "set server app/a weight 8"}})), "0 9 5"},
		"disabled in vain":                               {server("1", "5", "5"), with("weight 5"), with("weight 5"), parse(with("weight 5 disabled").told([]told{{Command: "set server app/a state maint"}})), ""},
		"what another server was told in vain":           {server("0", "8", "5"), with("weight 5"), with("weight 5"), parse(with("weight 8").told([]told{{Command: "set server app/ab weight 8"}})), "0 8 5"},
	} {
		t.Run(name, func(t *testing.T) {
			file, _ := kept(test.answer, test.was, test.want, test.tried)
			got := ""
			if list, _ := rows(file); len(list) > 0 {
				got = list[0][colAdmin] + " " + list[0][colWeight] + " " + list[0][colInitial]
			}
			if got != test.kept {
				t.Errorf("kept is %q, want %q", got, test.kept)
			}
		})
	}
}

// What HAProxy 2.6 to 3.2 print, and what is made of it.
func TestComplaints(t *testing.T) {
	const path = "/etc/haproxy/haproxy.cfg"
	for name, test := range map[string]struct {
		said string
		want []complaint
	}{
		"a directive (2.6)": {"[NOTICE]   (12) : haproxy version is 2.6.12\n[ALERT]    (12) : config : parsing [/etc/haproxy/haproxy.cfg:7] : unknown keyword 'x' in 'frontend' section\n[ALERT]    (12) : config : Error(s) found in configuration file : /etc/haproxy/haproxy.cfg\n[ALERT]    (12) : config : Fatal errors found in configuration.\n",
			[]complaint{{7, "unknown keyword 'x' in 'frontend' section"}}},
		"a warning alone": {"[WARNING]  (12) : config : parsing [/etc/haproxy/haproxy.cfg:9] : 'option x' ignored\n[ALERT]    (12) : config : Some warnings were found and 'zero-warning' is set. Aborting.\n",
			[]complaint{{9, "'option x' ignored"}}},
		"a proxy":           {"[ALERT]    (12) : config : Proxy 'web': unable to find required default_backend: 'app'.\n", []complaint{{0, "Proxy 'web': unable to find required default_backend: 'app'."}}},
		"what it notes too": {"[WARNING]  (1) : config : a warning\n[ALERT]    (1) : config : an error\n", []complaint{{0, "an error"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := complaints(test.said, path); !slices.Equal(got, test.want) {
				t.Errorf("they are %v, want %v", got, test.want)
			}
		})
	}
}

// A port that another program listens on is taken, and its owner is named, also where that
// lets others share it; one's own processes are no others.
func TestWhoListensOnAPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	at := func(host string) error {
		return bind{host: host, ports: [2]int{port, port}}.occupied(nil)
	}
	for _, host := range []string{"127.0.0.1", ""} {
		if err := at(host); err == nil || !strings.Contains(err.Error(), "is taken by haproxy.test (process ") {
			t.Errorf("on %q: %v", host, err)
		}
	}
	if err := at("127.0.0.9"); err != nil {
		t.Errorf("on another address: %v", err)
	}
	if err := (bind{host: "192.0.2.1", ports: [2]int{port, port}}).occupied(nil); err == nil || !strings.Contains(err.Error(), "no address 192.0.2.1") {
		t.Errorf("on an address that this host hasn't got: %v", err)
	}
	if err := (bind{host: "192.0.2.1", ports: [2]int{port, port}, words: []string{"bind", "192.0.2.1:80", "transparent"}}).occupied(nil); err != nil {
		t.Errorf("on one that may come: %v", err)
	}
}

// Passwords of a file are hidden, also of one that no task has any more.
func TestPasswordsOfAConfigurationAreHidden(t *testing.T) {
	for _, line := range []string{
		"    stats auth admin:hunter2", "user ann password hunter2", "  user ann insecure-password hunter2 groups x",
		"    http-request set-header Authorization \"Basic hunter2\"",
	} {
		if got := hidden("global\n" + line + "\nfrontend web\n"); strings.Contains(got, "hunter2") || !strings.HasPrefix(got, "global\n") || !strings.HasSuffix(got, "\nfrontend web\n") {
			t.Errorf("%q is shown as %q", line, got)
		}
	}
}

// What `show map` and `show ssl cert` answer, and whether the files hold the same.
func TestWhatIsLoadedOfMapsAndCertificates(t *testing.T) {
	for _, test := range []struct {
		answer, file string
		same         bool
	}{
		{"0x55 a.example app\n0x56 b.example app two\n", "b.example app two\na.example app\n", true},
		{"0x55 a.example app\n", "# ours\n\na.example app\n", true},
		{"0x55 a.example app\n", "a.example other\n", false},
		{"", "a.example app\n", false},
		{"", "", true},
	} {
		if got := sameLines(test.answer, test.file); got != test.same {
			t.Errorf("%q and %q: %v", test.answer, test.file, got)
		}
	}
	if n, ok := serialIn("Filename: /x\nStatus: Used\nSerial: 0A1002\n"); !ok || n != "A1002" {
		t.Errorf("the number is %q, %v", n, ok)
	}
}

// A port whose holder can't be told is taken all the same; HAProxy's own ones aren't.
func TestHolderOfAPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	b := bind{host: "127.0.0.1", ports: [2]int{port, port}}
	if by := b.holder(port, nil); by == nil || by.own || by.pid != os.Getpid() {
		t.Errorf("it is held by %+v", by)
	}
	if err := b.occupied([]int{os.Getpid()}); err != nil {
		t.Errorf("HAProxy's own port: %v", err)
	}
	if got := (&portTaken{port: 80}).Error(); got != "port 80 is taken" {
		t.Errorf("of one that can't be told it says %q", got)
	}
}

// What a pending change is about to stop may free its port; nobody else's is waited for.
func TestWhoMayGoBeforeHAProxyListens(t *testing.T) {
	preview := &host.Preview{}
	preview.Lay([]host.Effect{host.Open(host.Units, "nginx.service")})
	p := &planner{v: host.NewView(host.New(), preview)}
	for unit, want := range map[string]bool{"nginx.service": true, "apache2.service": false, "": false} {
		if got := p.mayGo(&portTaken{80, &holder{unit: unit}}); got != want {
			t.Errorf("a holder of the unit %q may go: %v", unit, got)
		}
	}
	if p.mayGo(&portTaken{port: 80}) || p.mayGo(errors.New("nginx.service")) {
		t.Error("nobody knows who holds it, and it may go")
	}
}

// What HAProxy says of a section, without a line, is told at that section.
func TestComplaintsOfSectionsLeadThere(t *testing.T) {
	p := &planner{HAProxy: &HAProxy{Config: Config{Backend: map[string]Backend{"app": {}}}}}
	if arg, path := p.argument(complaint{text: "backend 'app' has no server"}); arg != "backend" || path != `["app"]` {
		t.Errorf("it leads to %s%s", arg, path)
	}
	if arg, _ := p.argument(complaint{text: "Proxy 'other': nothing"}); arg != "" {
		t.Errorf("another section's leads to %s", arg)
	}
}

// A port in use is taken, also where nobody is found who listens on it.
func TestPortOfAnUnknownHolderIsTaken(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil { // and doesn't listen
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := at.(*unix.SockaddrInet4).Port
	if err := (bind{host: "127.0.0.1", ports: [2]int{port, port}}).occupied(nil); err == nil {
		t.Errorf("port %d counts as free", port)
	}
}

// What somebody has set beside the configuration is told, and where servers were moved
// from; what an agent sets, and what the configuration has, isn't.
func TestWhatSomebodyHasSetIsTold(t *testing.T) {
	f := newFake(t)
	const more = " 1 6 3 4 6 0 0 0 - "
	f.say["@1 show servers state"] = "1\n" + stateHeader + "\n" +
		"3 app 1 drained 10.0.0.1 2 8 1 1" + more + "80 - 0 0 - - 0\n" +
		"3 app 2 light 10.0.0.1 2 0 5 9" + more + "80 - 0 0 - - 0\n" +
		"3 app 3 moved 10.0.0.9 2 0 1 1" + more + "81 - 0 0 - - 0\n" +
		"3 app 4 agent 10.0.0.1 2 8 3 9" + more + "80 - 0 0 - - 0\n" +
		"3 app 5 off 10.0.0.1 0 5 1 1" + more + "80 - 0 0 - - 0\n" +
		"3 app 6 on 10.0.0.1 2 0 1 1" + more + "80 - 0 0 - - 0\n\n"
	f.say["@1 show info"] = "Name: HAProxy\nVersion: 2.6.12\n"
	const config = "backend app\nserver drained 10.0.0.1:80\nserver light 10.0.0.1:80 weight 9\nserver moved 10.0.0.1:80\n" +
		"server agent 10.0.0.1:80 weight 9 agent-check agent-port 1\nserver off 10.0.0.1:80 disabled\nserver on 10.0.0.1:80 disabled\n"
	p := &planner{v: f.view(), text: config, daemon: &daemon{Argv: []string{"haproxy", "-S", f.address}}}
	o := p.observe(t.Context(), parse(config), parse(config))
	want := []string{
		"The server app/drained is drained, which somebody has set: it stays so.",
		"The server app/light has the weight 5, which somebody has set: it stays so.",
		"The server app/on is ready, which somebody has set: the configuration disables it, and has it so when HAProxy is reloaded.",
	}
	if !slices.Equal(p.notes, want) {
		t.Errorf("told is %q", p.notes)
	}
	if len(o.moved) != 1 || o.moved[0].Command != "set server app/moved addr 10.0.0.1 port 80" || o.moved[0].Shows != "app/moved: address 10.0.0.9:81 → 10.0.0.1:80" {
		t.Errorf("moved are %v", o.moved)
	}
	if o.Version != "2.6.12" || !slices.Equal(o.Set, []string{"app/drained", "app/light", "app/on"}) {
		t.Errorf("the output is %+v", o.Output)
	}
}
