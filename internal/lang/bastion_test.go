package lang

import (
	"testing"

	"muster/internal/lang/plays"
)

// A play on a bastion knows its own host's name and address, and other plays find them by the
// bastion's name; no loop over hosts has it.
func TestABastionIsKnownByItsName(t *testing.T) {
	dir, file := project(t, `
-- site.hcl --
play "p" {
  hosts = ["nat"]
  task "file" "/own" { content = "${host.name} ${host.address}" }
}
play "q" {
  hosts = ["lb1"]
  task "file" "/named" { content = hosts["nat"].address }
  task "file" "/loop" { content = join(",", [for n, h in hosts : n if n == "nat"]) }
}
`)
	o := testOptions(dir)
	o.Fleet.Bastions = []plays.Host{{Name: "nat", Address: "10.0.0.9"}}
	p, diags := Load(file, o)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	for _, c := range []struct {
		play, step int
		host, want string
	}{
		{0, 0, "nat", "nat 10.0.0.9"}, {1, 0, "lb1", "10.0.0.9"}, {1, 1, "lb1", ""},
	} {
		e := evaluate(t, p, c.play, c.step, c.host, &fakeResults{})
		if got := contentText(t, e); got != c.want || len(e.Unknown) > 0 {
			t.Errorf("%s: %v, unknown %v", c.host, got, e.Unknown)
		}
	}
}
