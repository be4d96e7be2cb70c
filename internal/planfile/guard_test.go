package planfile_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"muster/internal/planfile"
	"muster/secret"
)

func knowing(secrets ...string) *secret.Redactor {
	r := &secret.Redactor{}
	r.Add(secrets...)
	return r
}

func TestSecretsFoundAnywhereAreGuarded(t *testing.T) {
	const quoted = `canary "4711"`
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, []byte(strings.Repeat("x", 1<<20-4)+canary+strings.Repeat("x", 1<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := sample()
	p.Files = append(p.Files,
		planfile.File{Name: "vars.hcl", Data: []byte(`x = "canary \"4711\""`)},
		planfile.File{Name: "large", Path: large},
		planfile.File{Name: "plain", Data: []byte("nothing here")})
	p.Inventory = [][]byte{[]byte("host \"h\" { vars = { p = \"" + canary + "\" } }\n")}
	p.Variables = append(p.Variables, planfile.Variable{Name: "url", Origin: "--var", Text: "https://u:" + canary + "@h"},
		planfile.Variable{Name: "list", Origin: "--var", Type: json.RawMessage(`["tuple",["string"]]`), Value: json.RawMessage(`["canary \"4711\""]`)})
	p.Tasks[0].Changes[0].Diff = "+" + canary
	p.Tasks[0].Error = canary
	if err := p.Guard(knowing(canary, quoted, "a", "")); err != nil {
		t.Fatal(err)
	}
	id, _ := age.GenerateX25519Identity()
	p.Recipients = []age.Recipient{id.Recipient()}
	data := written(t, p)
	if all := unpacked(t, data); bytes.Contains(all, []byte(canary)) || bytes.Contains(all, []byte(`\"4711`)) {
		t.Error("the canary stands in clear")
	}
	if !bytes.Contains(unpacked(t, data), []byte("nothing here")) {
		t.Error("a file without a secret is sealed as well")
	}
	got := opened(t, data)
	if err := got.Unseal(id); err != nil {
		t.Fatal(err)
	}
	same(t, p, got)
}

func TestAGuardWithoutSecretsChangesNothing(t *testing.T) {
	p := sample()
	if err := p.Guard(knowing("a", "hel")); err != nil {
		t.Fatal(err)
	}
	same(t, sample(), p)
}
