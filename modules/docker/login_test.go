package docker

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/host"
)

// What a value is put into, and taken out of, stays byte for byte.
func TestConfigOfDockerIsEditedInPlace(t *testing.T) {
	const docker = "{\n\t\"auths\": {\n\t\t\"old\": {\n\t\t\t\"auth\": \"b2xk\"\n\t\t}\n\t},\n\t\"psFormat\": \"table {{.ID}}\\u0026<\"\n}"
	for name, c := range map[string]struct {
		text, with, without string // with an entry for "new", without that for "old"
	}{
		"no file":               {"", "{\n\t\"auths\": {\n\t\t\"new\": {\n\t\t\t\"auth\": \"x\"\n\t\t}\n\t}\n}", ""},
		"an empty one":          {"{}\n", "{\n\t\"auths\": {\n\t\t\"new\": {\n\t\t\t\"auth\": \"x\"\n\t\t}\n\t}\n}\n", "{}\n"},
		"no auths":              {"{\n\t\"a\": 1\n}", "{\n\t\"a\": 1,\n\t\"auths\": {\n\t\t\"new\": {\n\t\t\t\"auth\": \"x\"\n\t\t}\n\t}\n}", "{\n\t\"a\": 1\n}"},
		"empty auths":           {"{\n\t\"auths\": {},\n\t\"a\": 1\n}", "{\n\t\"auths\": {\n\t\t\"new\": {\n\t\t\t\"auth\": \"x\"\n\t\t}\n\t},\n\t\"a\": 1\n}", "{\n\t\"auths\": {},\n\t\"a\": 1\n}"},
		"auths that are null":   {"{\n\t\"auths\": null\n}", "{\n\t\"auths\": {\n\t\t\"new\": {\n\t\t\t\"auth\": \"x\"\n\t\t}\n\t}\n}", "{\n\t\"auths\": null\n}"},
		"as Docker writes it":   {docker, strings.Replace(docker, "b2xk\"\n\t\t}", "b2xk\"\n\t\t},\n\t\t\"new\": {\n\t\t\t\"auth\": \"x\"\n\t\t}", 1), "{\n\t\"auths\": {},\n\t\"psFormat\": \"table {{.ID}}\\u0026<\"\n}"},
		"with spaces":           {"{\n  \"auths\": {\n    \"old\": {}\n  }\n}\n", "{\n  \"auths\": {\n    \"old\": {},\n    \"new\": {\n      \"auth\": \"x\"\n    }\n  }\n}\n", "{\n  \"auths\": {}\n}\n"},
		"in one line":           {`{"auths":{"old":{"auth":"y"}},"a":1.50}`, `{"auths":{"old":{"auth":"y"},"new":{"auth":"x"}},"a":1.50}`, `{"auths":{},"a":1.50}`},
		"in one line, no auths": {`{"a": 1}`, `{"a": 1,"auths":{"new":{"auth":"x"}}}`, `{"a": 1}`},
		"the first of several":  {"{\n\t\"auths\": {\n\t\t\"old\": {},\n\t\t\"b\": {}\n\t}\n}", "{\n\t\"auths\": {\n\t\t\"old\": {},\n\t\t\"b\": {},\n\t\t\"new\": {\n\t\t\t\"auth\": \"x\"\n\t\t}\n\t}\n}", "{\n\t\"auths\": {\n\t\t\"b\": {}\n\t}\n}"},
		"the last of several":   {"{\n\t\"auths\": {\n\t\t\"b\": {},\n\t\t\"old\": {}\n\t}\n}", "{\n\t\"auths\": {\n\t\t\"b\": {},\n\t\t\"old\": {},\n\t\t\"new\": {\n\t\t\t\"auth\": \"x\"\n\t\t}\n\t}\n}", "{\n\t\"auths\": {\n\t\t\"b\": {}\n\t}\n}"},
		"other members of new":  {"{\n\t\"auths\": {\n\t\t\"new\": {\n\t\t\t\"email\": \"e\",\n\t\t\t\"auth\": \"y\"\n\t\t}\n\t}\n}", "{\n\t\"auths\": {\n\t\t\"new\": {\n\t\t\t\"email\": \"e\",\n\t\t\t\"auth\": \"x\"\n\t\t}\n\t}\n}", "{\n\t\"auths\": {\n\t\t\"new\": {\n\t\t\t\"email\": \"e\",\n\t\t\t\"auth\": \"y\"\n\t\t}\n\t}\n}"},
		"new is empty":          {"{\n\t\"auths\": {\n\t\t\"new\": {}\n\t}\n}", "{\n\t\"auths\": {\n\t\t\"new\": {\n\t\t\t\"auth\": \"x\"\n\t\t}\n\t}\n}", "{\n\t\"auths\": {\n\t\t\"new\": {}\n\t}\n}"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := with(c.text, "x", "auths", "new", "auth")
			if err != nil || got != c.with || !json.Valid([]byte(got)) {
				t.Errorf("with it, it is %v\n%s\nwant\n%s", err, got, c.with)
			}
			if again, err := with(got, "x", "auths", "new", "auth"); err != nil || again != got {
				t.Errorf("once more, it is %v\n%s", err, again)
			}
			if got, err = without(c.text, "auths", "old"); err != nil || got != c.without {
				t.Errorf("without it, it is %v\n%s\nwant\n%s", err, got, c.without)
			}
		})
	}
	for _, wrong := range []string{"[]", "{", `{"auths":[]}`, `{"auths":{}} x`, `{"auths":{"new":"x"}}`, `{"a"}`} {
		if text, err := with(wrong, "x", "auths", "new", "auth"); err == nil {
			t.Errorf("%s has become %s", wrong, text)
		}
	}
}

func FuzzConfigOfDockerIsEditedInPlace(f *testing.F) {
	for _, text := range []string{"{}", `{"auths":{"a":{"auth":"x"}},"b":[1,{"c":"}"}]}`, "{\n\t\"auths\": {\n\t\t\"new\": {}\n\t}\n}", `{"auths":{},"auths":{"new":null}}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := with(text, "x", "auths", "new", "auth")
		if err != nil || !json.Valid([]byte(text)) {
			return
		}
		var c struct {
			Auths map[string]struct{ Auth string } `json:"auths"`
		}
		if !json.Valid([]byte(got)) {
			t.Fatalf("%q has become %q", text, got)
		}
		if json.Unmarshal([]byte(got), &c) == nil && c.Auths["new"].Auth != "x" {
			t.Fatalf("%q has become %q, in which it isn't found", text, got)
		}
		if gone, err := without(got, "auths", "new"); err != nil || !json.Valid([]byte(gone)) {
			t.Fatalf("%q has become %q: %v", got, gone, err)
		}
	})
}

// withHelper puts a credential helper into the PATH of programs, which keeps what it is
// given in a file, and says what it was told.
func withHelper(t *testing.T, h *host.Host, dir string) {
	t.Helper()
	h.Runner = helper{dir}
}

// helper runs docker-credential-test, and nothing else.
type helper struct{ dir string }

func (r helper) Run(_ context.Context, c host.Command) (host.Output, error) {
	if c.Argv[0] != "docker-credential-test" {
		return host.Output{}, host.ErrNoProgram
	}
	input := make([]byte, 1<<16)
	n, _ := c.Stdin.Read(input)
	file := filepath.Join(r.dir, "kept")
	switch c.Argv[1] {
	case "get":
		data, err := os.ReadFile(file)
		if err != nil {
			return host.Output{ExitCode: 1, Stdout: []byte("credentials not found in native keychain\n")}, nil
		}
		return host.Output{Stdout: data}, nil
	case "store":
		return host.Output{}, os.WriteFile(file, input[:n], 0o600)
	case "erase":
		return host.Output{}, os.Remove(file)
	}
	return host.Output{ExitCode: 1}, nil
}

const (
	oldAuth = `{"auths":{"r:1":{"auth":"YWRhOm9sZC1vbmU="}}}` // ada:old-one
	newAuth = `{"auths":{"r:1":{"auth":"YWRhOm5ldy1vbmU="}}}` // ada:new-one
)

func TestWhatALoginLeaves(t *testing.T) {
	for name, c := range map[string]struct {
		before, after string
		absent        bool
		shows         string
	}{
		"the first one":                   {"", "{\n\t\"auths\": {\n\t\t\"r:1\": {\n\t\t\t\"auth\": \"YWRhOm5ldy1vbmU=\"\n\t\t}\n\t}\n}", false, "create FILE\nuser: ada\npassword: (given)"},
		"another password":                {oldAuth, newAuth, false, "update FILE\npassword: (another)"},
		"another user":                    {`{"auths":{"r:1":{"auth":"Ym9iOng="}}}`, newAuth, false, "update FILE\nuser: bob → ada\npassword: (another)"},
		"the same":                        {newAuth, newAuth, false, ""},
		"the same by a longer name":       {`{"auths":{"https://r:1/v2/":{"auth":"YWRhOm5ldy1vbmU="}}}`, `{"auths":{"https://r:1/v2/":{"auth":"YWRhOm5ldy1vbmU="}}}`, false, ""},
		"a token in the place of it":      {`{"auths":{"r:1":{"auth":"YWRhOg==","identitytoken":"t"}}}`, newAuth, false, "update FILE\npassword: (another)"},
		"an entry that can't be read":     {`{"auths":{"r:1":{"auth":"?"}}}`, newAuth, false, "update FILE\nuser:  → ada\npassword: (another)"},
		"logged out":                      {`{"auths":{"x":{},"r:1":{"auth":"YWRhOm5ldy1vbmU="},"https://r:1/v1/":{"auth":"YTpi"}},"credHelpers":{"y":"none"}}`, `{"auths":{"x":{}},"credHelpers":{"y":"none"}}`, true, "update FILE\nuser: - ada"},
		"logged out already":              {`{"auths":{"x":{}}}`, `{"auths":{"x":{}}}`, true, ""},
		"logged out without a file":       {"", "", true, ""},
		"a helper for it":                 {`{"credHelpers":{"r:1":"test"}}`, `{"credHelpers":{"r:1":"test"}}`, false, "update login at r:1\nuser: ada\npassword: (given)"},
		"a helper for all, and it was in": {`{"auths":{"r:1":{"auth":"YWRhOm9sZC1vbmU="}},"credsStore":"test"}`, `{"auths":{"r:1":{}},"credsStore":"test"}`, false, "update login at r:1\nuser: ada\npassword: (given)\nupdate FILE"},
		"a helper for another":            {`{"credHelpers":{"r:2":"test"},"auths":{}}`, `{"credHelpers":{"r:2":"test"},"auths":{"r:1":{"auth":"YWRhOm5ldy1vbmU="}}}`, false, "update FILE\nuser: ada\npassword: (given)"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "config.json")
			if c.before != "" {
				if err := os.WriteFile(file, []byte(c.before), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d := &fakeDaemon{passwords: map[string]string{"r:1 ada": "new-one"}}
			h := fakeHost(t, d)
			withHelper(t, h, dir)
			task := &Login{Registry: "r:1", User: "ada", Password: "new-one", Config: file, State: "present"}
			if c.absent {
				task = &Login{Registry: "r:1", Config: file, State: "absent"}
			}
			changes := mustPlan(t, h, task)
			if got := strings.ReplaceAll(shows(changes), file, "FILE"); got != c.shows {
				t.Errorf("the plan is\n%s\nwant\n%s", got, c.shows)
			}
			for _, c := range changes {
				data, err := host.Marshal(c)
				if err != nil || strings.Contains(string(data), "-one") || strings.Contains(string(data), "bm3vb") {
					t.Errorf("a change holds the password: %s %v", data, err)
				}
			}
			if asked := d.asked["POST /auth"]; (asked == 1) != (c.shows != "" && !c.absent) {
				t.Errorf("the registry was asked %d times", asked)
			}
			var effects []host.Effect
			for _, c := range changes {
				effects = append(effects, c.Effects()...)
			}
			preview := &host.Preview{}
			preview.Lay(effects)
			if p, err := task.Plan(context.Background(), host.NewView(h, preview)); err != nil || len(p.Changes) > 0 {
				t.Errorf("on what its effects leave there is more to do: %v\n%s", err, shows(p.Changes))
			}
			made(t, h, changes)
			if data, _ := os.ReadFile(file); string(data) != c.after {
				t.Errorf("the file is\n%s\nwant\n%s", data, c.after)
			}
			if st, err := os.Stat(file); err == nil && st.Mode() != 0o600 {
				t.Errorf("its mode is %s", st.Mode())
			}
			if left := mustPlan(t, h, task); len(left) > 0 {
				t.Errorf("planned again there is more to do:\n%s", shows(left))
			}
		})
	}
}

func TestALoginIsProvedFirst(t *testing.T) {
	pending := host.Is(host.File("/etc/docker/certs.d/r:1/ca.crt"), host.FileInfo{Type: host.Regular, Mode: 0o644})
	for name, c := range map[string]struct {
		password string
		refuse   string
		effects  []host.Effect
		says     string // the plan's error
		later    string // what the plan shows of it
	}{
		"a wrong password":                     {password: "wrong", says: "r:1 refuses the user ada with this password"},
		"a wrong password for now":             {password: "wrong", effects: []host.Effect{pending}, later: "not proved yet: r:1 refuses the user ada"},
		"a certificate that isn't trusted":     {refuse: "Get https://r:1/v2/: x509: certificate signed by unknown authority", says: "put that of its authority at /etc/docker/certs.d/r:1/ca.crt"},
		"a certificate that an earlier brings": {refuse: "Get https://r:1/v2/: x509: certificate signed by unknown authority", effects: []host.Effect{pending}, later: "not proved yet: Docker doesn't trust"},
		"no TLS":                               {refuse: "Get https://r:1/v2/: http: server gave HTTP response to HTTPS client", says: "speaks HTTP without TLS"},
		"a registry that is still to come":     {refuse: "Get https://r:1/v2/: dial tcp 10.0.0.1:1: connect: connection refused", later: "not proved yet: r:1 doesn't answer: "},
		"a Docker that is still to come":       {effects: []host.Effect{host.Open(host.Units, unit)}, later: "proved once Docker runs"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.json")
			d := &fakeDaemon{passwords: map[string]string{"r:1 ada": "right"}, refuse: map[string]string{"POST /auth": c.refuse}}
			h := fakeHost(t, d)
			task := &Login{Registry: "r:1", User: "ada", Password: "right", Config: file, State: "present"}
			if c.password != "" {
				task.Password = c.password
			}
			p, err := planned(t, h, task, c.effects...)
			if c.says != "" {
				if !strings.Contains(text(err), c.says) {
					t.Errorf("the plan says %v, want %q", err, c.says)
				}
				return
			}
			if err != nil || len(p.Changes) != 2 || !strings.Contains(p.Changes[0].Describe().Impact, c.later) {
				t.Fatalf("the plan is %v\n%s %+v", err, shows(p.Changes), p.Changes)
			}
			if _, err := p.Changes[0].Apply(context.Background(), h); (err != nil) != (c.refuse != "" || c.password != "") {
				t.Errorf("proving it: %v", err)
			}
		})
	}
}

// The registry gets a user's new password in the same run, on another host.
func TestALoginWhoseNewPasswordIsStillToCome(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(oldAuth), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &fakeDaemon{passwords: map[string]string{"r:1 ada": "old-one"}}
	h := fakeHost(t, d)
	task := &Login{Registry: "r:1", User: "ada", Password: "new-one", Config: file, State: "present"}
	changes := mustPlan(t, h, task)
	if len(changes) != 2 || !strings.Contains(changes[0].Describe().Impact, "it still takes the one that is kept") {
		t.Fatalf("the plan is\n%s", shows(changes))
	}
	if _, err := changes[0].Apply(context.Background(), h); err == nil {
		t.Error("a password that is refused is proved")
	}
	d.passwords["r:1 ada"] = "new-one"
	made(t, h, changes)
	d.passwords["r:1 ada"] = "newest-one" // neither the one that is kept nor this one
	task.Password = "wrong-one"
	if _, err := planned(t, h, task); err == nil || !strings.Contains(err.Error(), "refuses the user ada") {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestModeOfAConfigThatIsThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(newAuth), 0o644); err != nil {
		t.Fatal(err)
	}
	h := fakeHost(t, &fakeDaemon{})
	task := &Login{Registry: "r:1", User: "ada", Password: "new-one", Config: file, State: "present"}
	if got := strings.ReplaceAll(shows(mustPlan(t, h, task)), file, "FILE"); got != "update FILE\nmode: 0644 → 0600" {
		t.Errorf("the plan is\n%s", got)
	}
	if err := os.WriteFile(file, []byte(`{"auths":[]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := planned(t, h, task); err == nil || !strings.Contains(err.Error(), "isn't what Docker writes") {
		t.Errorf("a file that is something else: %v", err)
	}
	if err := os.WriteFile(file, []byte(`{"credsStore":"desktop"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := planned(t, h, task); err == nil || !strings.Contains(err.Error(), "docker-credential-desktop, which isn't installed") {
		t.Errorf("a helper that is missing: %v", err)
	}
}

func TestArgumentsOfALogin(t *testing.T) {
	ok := Login{Registry: "r.example.org:5000", User: "ada", Password: "x", State: "present"}
	for want, alter := range map[string]func(*Login){
		"":                                   func(*Login) {},
		"registry: is no registry":           func(l *Login) { l.Registry = "https://r.example.org/v2/" },
		"user: Missing":                      func(l *Login) { l.User = "" },
		"password: Missing":                  func(l *Login) { l.Password = "" },
		"password: one line":                 func(l *Login) { l.Password = "x\n" },
		"user: without a colon":              func(l *Login) { l.User = "a:b" },
		"config: no absolute path":           func(l *Login) { l.Config = "config.json" },
		"password: A login that is to be ab": func(l *Login) { l.State, l.User = "absent", "" },
	} {
		l := ok
		alter(&l)
		got := ""
		for _, e := range l.Check(func(string) bool { return false }) {
			got += e.Arg + e.Path + ": " + e.Summary + " " + e.Detail + "\n"
		}
		at, part, _ := strings.Cut(want, ": ")
		if want == "" && got != "" || !strings.HasPrefix(got, at) || !strings.Contains(got, part) || strings.Count(got, "\n") > 1 {
			t.Errorf("%q says %q", want, got)
		}
	}
}
