package host

import "testing"

func TestModesAsChmodTakesThem(t *testing.T) {
	for _, c := range []struct {
		spec string
		old  Mode
		dir  bool
		want Mode
	}{
		{"0644", 0o777, false, 0o644},
		{"4755", 0, false, 0o4755},
		{"u=rwX,go-w", 0o666, false, 0o644},
		{"u=rwX,go-w", 0o777, false, 0o755},
		{"a+X", 0o644, false, 0o644},
		{"a+X", 0o644, true, 0o755},
		{"g=u", 0o740, false, 0o770},
		{"o=", 0o777, false, 0o770},
		{"u+s", 0o755, false, 0o4755},
		{"+t", 0o777, true, 0o1777},
		{"g=rx", 0o2775, true, 0o2755},
		{"u+x-w", 0o644, false, 0o544},
	} {
		spec, err := ParseMode(c.spec)
		if err != nil {
			t.Errorf("%s: %v", c.spec, err)
			continue
		}
		if got := spec.Apply(c.old, c.dir); got != c.want {
			t.Errorf("%s on %s is %s, want %s", c.spec, c.old, got, c.want)
		}
	}
	for _, s := range []string{"", "u=foo", "888", "7", "rw", "u", "u=rw,", "99999"} {
		if _, err := ParseMode(s); err == nil {
			t.Errorf("%q is taken for a mode", s)
		}
	}
}
