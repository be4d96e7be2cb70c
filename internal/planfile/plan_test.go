package planfile_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/zclconf/go-cty/cty"

	"muster/host"
	"muster/internal/lang/plays"
	"muster/internal/planfile"
	"muster/internal/task"
	"muster/internal/wire"
)

const version = "0.1.0"

var key = bytes.Repeat([]byte{7}, 32)

// sample is a plan with something in every field, nothing of it sensitive.
func sample() *planfile.Plan {
	return &planfile.Plan{
		Muster: version, Created: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), By: "ann@laptop",
		Playbook: "playbooks/web.hcl", Dir: "/home/ann/site", Root: "/home/ann/site",
		Limit: []string{"web", "!web2"}, Tags: []string{"config"}, SkipTags: []string{"slow"},
		Files: []planfile.File{
			{Name: "playbooks/web.hcl", Data: []byte("play \"p\" {}\n")},
			{Name: "../shared/motd", Data: []byte("hello\n")},
			{Name: "/etc/motd", Data: []byte("hello\n")},
			{Name: "playbooks/tree", Type: planfile.Directory},
			{Name: "playbooks/tree/run", Exec: true, Data: []byte("#!/bin/sh\n")},
			{Name: "playbooks/tree/link", Type: planfile.Symlink, Target: "/srv/anywhere"},
			{Name: "playbooks/tree/\xff", Data: nil},
		},
		Inventory: [][]byte{[]byte("host \"web1\" {}\n"), []byte("host \"web2\" {}\n")},
		Variables: []planfile.Variable{
			{Name: "image", Origin: "--var", Text: "app@sha256:1"},
			{Name: "ports", Origin: "prod.hcl:3", Type: json.RawMessage(`["tuple",["number"]]`), Value: json.RawMessage(`[80]`)},
		},
		Facts: map[string]json.RawMessage{"web1": json.RawMessage(`{"os":{"id":"debian"}}`)},
		Pins:  map[string]string{"image app:1.4": "sha256:2"},
		Tasks: []planfile.Task{
			planned("web1", "0/task.file.motd", wire.Pending, "d1", update("/etc/motd")),
			{Place: task.Place{Ref: task.Ref{Host: "web1"}, ID: "0/task.x", Name: "task.x"}, Planned: task.Planned{Status: wire.Unchanged}},
			{Place: task.Place{Ref: task.Ref{Host: "web1", On: "lb1"}, ID: "0/task.x", Name: "task.x"}, Planned: task.Planned{Status: wire.Failed, Error: "no"}},
		},
		Key: key,
	}
}

func planned(hostName, id string, status wire.Status, digest string, changes ...host.Description) planfile.Task {
	_, name, _ := strings.Cut(id, "/")
	return planfile.Task{Place: task.Place{Ref: task.Ref{Host: hostName, Task: "motd", Kind: "file", Play: "p"}, ID: id, Name: name, File: "playbooks/web.hcl", Line: 3}, Planned: task.Planned{Status: status, Certainty: wire.Known, Changes: changes, Digest: digest}}
}

func update(path string) host.Description {
	return host.Description{Action: host.Update, Target: path, Diff: "-a\n+b\n", Impact: "nothing <else>"}
}

func written(t testing.TB, p *planfile.Plan) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := planfile.Write(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(data []byte) (*planfile.Plan, error) {
	return planfile.Read(bytes.NewReader(data), int64(len(data)), version)
}

func opened(t testing.TB, data []byte) *planfile.Plan {
	t.Helper()
	p, err := read(data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// filled reads the bytes of the plan's files.
func filled(t testing.TB, p *planfile.Plan) map[string]planfile.File {
	t.Helper()
	files := map[string]planfile.File{}
	for _, f := range p.Files {
		if f.Type == planfile.Regular {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if _, err := b.ReadFrom(r); err != nil {
				t.Fatal(err)
			}
			r.Close()
			f.Data = b.Bytes()
			if sum := sha256.Sum256(f.Data); len(f.Data) > 1000 {
				f.Data = sum[:] // cmp takes long over many bytes
			}
		}
		f.Sum, f.Size, f.Path = "", 0, ""
		files[f.Name] = f
	}
	return files
}

func same(t *testing.T, want, got *planfile.Plan) {
	t.Helper()
	ignored := cmp.Options{cmpopts.IgnoreUnexported(planfile.Plan{}, planfile.File{}), cmpopts.EquateEmpty()}
	if diff := cmp.Diff(want, got, ignored, cmpopts.IgnoreFields(planfile.Plan{}, "Files", "Recipients")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(filled(t, want), filled(t, got), ignored); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	got := opened(t, written(t, sample()))
	if got.Sealed() {
		t.Error("a plan without anything sensitive is sealed")
	}
	same(t, sample(), got)
	// And what was read can be written again.
	same(t, sample(), opened(t, written(t, got)))
}

func TestEqualPlansAreEqualBytes(t *testing.T) {
	first := written(t, sample())
	other := sample()
	other.Files[0], other.Files[3] = other.Files[3], other.Files[0]
	other.Created = other.Created.In(time.FixedZone("", 3600))
	if !bytes.Equal(first, written(t, other)) {
		t.Error("two equal plans were written otherwise")
	}
}

func TestAFileNamedTwiceIsWrittenOnce(t *testing.T) {
	p := sample()
	p.Playbook = "./playbooks/web.hcl"
	p.Files = append(p.Files, planfile.File{Name: "/home/ann/site/playbooks/web.hcl", Data: p.Files[0].Data},
		planfile.File{Name: "playbooks/tree/link", Data: []byte("what the link names")})
	same(t, sample(), opened(t, written(t, p)))
}

const canary = "canary-4711"

// sensitive is a plan that holds a canary in all ways it may.
func sensitive(t *testing.T) *planfile.Plan {
	t.Helper()
	p := sample()
	var err error
	p.Variables, err = planfile.Variables(key, []plays.VarSource{
		{Name: "password", Text: canary, Origin: "MUSTER_VAR_password", Optional: true},
		{Name: "token", Value: cty.TupleVal([]cty.Value{cty.StringVal(canary)}), Origin: "prod.hcl:1"},
		{Name: "undeclared", Text: canary, Origin: "--var"},
		{Name: "HOME", Text: canary, Origin: "MUSTER_VAR_HOME", Optional: true},
		{Name: "image", Text: "old", Origin: "MUSTER_VAR_image", Optional: true},
		{Name: "image", Text: "new", Origin: "--var"},
	}, []*plays.Variable{{Name: "password", Sensitive: true}, {Name: "token", Sensitive: true}, {Name: "image"}})
	if err != nil {
		t.Fatal(err)
	}
	p.Files = append(p.Files, planfile.File{Name: "keys/tls.pem", Data: []byte(canary), Sensitive: true})
	p.Inventory, p.SealInventory = [][]byte{[]byte(canary), []byte("host \"h\" {}\n")}, true
	p.Secrets = []planfile.Secret{{Name: "mysql/app", Version: "3"}}
	p.Tasks[0].Sensitive = true
	return p
}

func TestNothingSensitiveStandsInClear(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	p := sensitive(t)
	p.Recipients = []age.Recipient{id.Recipient()}
	data := written(t, p)
	if bytes.Contains(unpacked(t, data), []byte(canary)) {
		t.Error("the canary stands in clear")
	}
	got := opened(t, data)
	if !got.Sealed() || got.Key != nil || got.Inventory != nil {
		t.Error("what is sensitive can be had without an identity")
	}
	if _, err := got.Lay(t.TempDir()); err != planfile.ErrSealed {
		t.Error("laying a sealed plan gives", err)
	}
	if err := got.Unseal(); err == nil || !strings.Contains(err.Error(), "MUSTER_IDENTITY") {
		t.Error("no identity gives", err)
	}
	other, _ := age.GenerateX25519Identity()
	if err := got.Unseal(other); err == nil || !strings.Contains(err.Error(), "another identity") {
		t.Error("another identity gives", err)
	}
	if err := got.Unseal(other, id); err != nil {
		t.Fatal(err)
	}
	same(t, p, got)
}

func TestASensitivePlanNeedsAnIdentityAndSaysHowToMakeOne(t *testing.T) {
	err := planfile.Write(&bytes.Buffer{}, sensitive(t))
	if err == nil || !strings.Contains(err.Error(), "variable password is sensitive") || !strings.Contains(err.Error(), "ssh-keygen") {
		t.Error(err)
	}
}

func TestSensitiveValuesMustBeGivenAgain(t *testing.T) {
	id, _ := age.GenerateX25519Identity()
	p := sensitive(t)
	p.Recipients = []age.Recipient{id.Recipient()}
	got := opened(t, written(t, p))
	if _, err := got.VarSources(nil); err != planfile.ErrSealed {
		t.Error(err)
	}
	if err := got.Unseal(id); err != nil {
		t.Fatal(err)
	}
	again := []plays.VarSource{
		{Name: "password", Value: cty.StringVal(canary), Origin: "again.hcl:1"},
		{Name: "token", Value: cty.TupleVal([]cty.Value{cty.StringVal(canary)}), Origin: "again.hcl:2"},
		{Name: "undeclared", Text: canary, Origin: "MUSTER_VAR_undeclared", Optional: true},
		{Name: "image", Text: "of the environment", Origin: "MUSTER_VAR_image", Optional: true},
	}
	for name, test := range map[string]struct {
		given []plays.VarSource
		want  string
	}{
		"the same values, whatever way":   {again, ""},
		"one is missing":                  {again[1:], "the variable password is sensitive, so the plan doesn't hold its value: give it again"},
		"one is another":                  {append(again[1:], plays.VarSource{Name: "password", Text: "x", Origin: "--var"}), "the variable password (from --var) isn't what the plan was made with"},
		"a saved one is given another":    {append(again[:3:3], plays.VarSource{Name: "image", Text: "x", Origin: "--var"}), "--var sets image, but a saved plan is applied with the values it was made with"},
		"one is given that wasn't before": {append(again[:3:3], plays.VarSource{Name: "new", Text: "x", Origin: "--var"}), "--var sets new, but"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := got.VarSources(test.given)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), canary) {
					t.Error(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			values := map[string]string{}
			for _, s := range list {
				values[s.Name] = s.Text
				if s.Value != cty.NilVal {
					values[s.Name] = s.Value.GoString()
				}
			}
			want := map[string]string{"image": "new", "password": again[0].Value.GoString(), "token": again[1].Value.GoString(), "undeclared": canary}
			if diff := cmp.Diff(want, values); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheInventoryIsSealedWhereItSetsASensitiveVariable(t *testing.T) {
	hosts := []plays.Host{{Name: "a"}, {Name: "b", Vars: map[string]cty.Value{"password": cty.StringVal("x")}}}
	if !planfile.HoldsSensitive(hosts, []*plays.Variable{{Name: "password", Sensitive: true}}) {
		t.Error("a sensitive variable isn't seen")
	}
	if planfile.HoldsSensitive(hosts, []*plays.Variable{{Name: "password"}, {Name: "other", Sensitive: true}}) {
		t.Error("nothing is sensitive")
	}
}
