package vault_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/internal/vault"
	"muster/tests/await"
)

func TestSecretsOfPrograms(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("say", "#!/bin/sh\necho \"value of $1\"\necho second line\n", 0o755)
	write("fail", "#!/bin/sh\necho 'not logged in' >&2\nexit 3\n", 0o755)
	write("hang", "#!/bin/sh\nsleep 60 & echo $! > child\nwait\n", 0o755)
	write("much", "#!/bin/sh\nhead -c 100000 /dev/zero | tr '\\0' x\n", 0o755)
	path := write("store.hcl", `
source "program" "say" {
  argv       = ["./say", "id %s"]
  first_line = true
}
source "program" "all" { argv = ["./say", "%s"] }
source "program" "fail" { argv = ["./fail"] }
source "program" "much" { argv = ["./much"] }
source "program" "none" { argv = ["./nothing"] }
source "program" "hang" {
  argv    = ["./hang"]
  timeout = "300ms"
}
secret "a" { from = "say" }
secret "b" {
  from  = "all"
  id    = "work/$(b); x"
  owner = "ann"
}
secret "c" { from = "fail" }
secret "d" { from = "hang" }
secret "e" { from = "much" }
secret "f" { from = "none" }
`, 0o644)
	s, err := vault.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.Names(), " "); got != "a b c d e f" || s.Sealed() {
		t.Error(got)
	}
	for name, want := range map[string]string{"a": "value of id a", "b": "value of work/$(b); x\nsecond line"} {
		v, err := s.Ask(context.Background(), name)
		if err != nil || v.Reveal() != want {
			t.Errorf("%s: %q %v", name, v.Reveal(), err)
		}
	}
	for name, want := range map[string]string{"c": "exit status 3: not logged in", "d": "more than 300ms", "e": "no more than 65536", "f": "no such file", "g": "no such secret"} {
		if _, err := s.Ask(context.Background(), name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	child, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	// It is killed, which takes a moment.
	await.Until(t, "what the program has started has ended", func() bool {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(child)) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

func TestAStoreHasSecretsOfBothSorts(t *testing.T) {
	ann := newPerson(t, "ann")
	base, ours, theirs := forked(t, ann, "a=the first value")
	const more = "\nsource \"program\" \"p\" {\n  argv = [\"echo\", \"%s\"]\n}\n\n# of p\nsecret \"x\" {\n  from = \"p\"\n}\n"
	for _, path := range []string{theirs} {
		if err := os.WriteFile(path, append(content(t, path), more...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set(t, theirs, ann, "b=beside it all") // an edit leaves what people wrote
	set(t, ours, ann, "c=on the other side")
	s, out, err := merged(t, ann, "", base, ours, theirs)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.Names(), " "); got != "a c b x" || !strings.Contains(string(out), "# of p\nsecret \"x\"") {
		t.Errorf("%s\n%s", got, out)
	}
	if _, err := s.Get("x"); err == nil {
		t.Error("it isn't in the store")
	}
	for name, src := range map[string]string{
		"Unknown source": more[:1] + "secret \"x\" {\n  from = \"q\"\n}\n", "Duplicate secret": more + "secret \"a\" {\n  from = \"p\"\n}\n",
		"Duplicate source": more + more[:strings.Index(more, "\n\n# of")+1], "Wrong type": "source \"program\" \"p\" {\n  argv = \"x\"\n}\n", "Wrong time": "source \"program\" \"p\" {\n  argv = [\"x\"]\n  timeout = \"soon\"\n}\n",
	} {
		if _, err := vault.Parse("x.hcl", append(content(t, ours), src...)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		bothWays(t, name, append(content(t, ours), src...))
	}
}
