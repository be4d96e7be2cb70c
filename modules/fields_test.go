package modules_test

import (
	"testing"

	"muster/modules"
)

func TestSensitiveFieldHidesItsLinesAlone(t *testing.T) {
	for name, c := range map[string]struct {
		diff      string
		sensitive []string
		want      string // "": can't be told
	}{
		"one line":                         {"comment: a → b\nshell: c → d", []string{"comment"}, "comment: (sensitive)\nshell: c → d"},
		"several lines of one field":       {"groups: + a\ngroups: - b\nuid: 1", []string{"groups"}, "groups: (sensitive)\nuid: 1"},
		"a value that spans lines":         {"comment: a\nb c\nuid: 1", []string{"comment"}, "comment: (sensitive)\nuid: 1"},
		"text behind the fields":           {"uid: 1\n@@ -1 +1 @@\n-uid: 2\n+uid: 3", []string{"uid"}, "uid: (sensitive)\n@@ -1 +1 @@\n-uid: 2\n+uid: 3"},
		"an argument that may be anywhere": {"uid: 1", []string{"uid", "state"}, ""},
		"a name that begins another":       {"group: a\ngroups: b", []string{"group"}, "group: (sensitive)\ngroups: b"},
	} {
		got, ok := modules.WithoutFields(c.diff, c.sensitive, "comment", "group", "groups", "shell", "uid")
		if ok != (c.want != "") || got != c.want {
			t.Errorf("%s: it shows %q, want %q", name, got, c.want)
		}
	}
}
