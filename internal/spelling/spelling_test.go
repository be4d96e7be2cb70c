package spelling

import "testing"

func TestTheNameThatWasMeant(t *testing.T) {
	for _, c := range []struct{ name, names, want string }{
		{"conten", "content", "content"},
		{"Web1", "web1", "web1"},
		{"cotnent", "content", "content"},
		{"ab", "xy", ""},
		{"db", "dbx", "dbx"},
		{"db", "dbxy", ""},
		{"müller", "mueler", "mueler"},
		{"größen", "grossem", ""},
		{"grün", "gruen", "gruen"},
		{"pass", "password", "password"},
		{"password_file", "password", "password"},
	} {
		if got := Nearest(c.name, []string{"zzzzzzzzzzzz", c.names}); got != c.want {
			t.Errorf("%q of %q: %q, not %q", c.name, c.names, got, c.want)
		}
	}
}

func TestTheFirstOfThoseThatAreNearestIsMeant(t *testing.T) {
	if got := Nearest("web3", []string{"web", "web1", "web2"}); got != "web" {
		t.Errorf("%q", got)
	}
	if got := Nearest("contemt", []string{"context", "content"}); got != "context" {
		t.Errorf("%q", got)
	}
}
