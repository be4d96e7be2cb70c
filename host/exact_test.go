package host

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

// embedded has what its fields have.
type embedded struct {
	MakeLink
	Names map[string][]string `json:"names"`
	Any   any                 `json:"any"`
}

func TestEveryByteOfANameSurvivesItsEncoding(t *testing.T) {
	const latin1 = "caf\xe9"
	for name, want := range map[string]any{
		"a link":          MakeLink{Path: "/srv/" + latin1, Target: latin1, Before: FileInfo{Type: Symlink, Target: "\xff\xfe"}},
		"names in maps":   embedded{MakeLink: MakeLink{Path: latin1}, Names: map[string][]string{latin1: {"plain", latin1, ""}}, Any: []any{latin1, "x"}},
		"a marked string": MakeLink{Path: "\x00Y2Fm6Q==", Target: latin1},
		"a replacement":   MakeLink{Path: "/srv/caf\ufffd", Target: `\ufffd`},
		"plain":           MakeLink{Path: "/srv/café"},
	} {
		data, err := Marshal(want)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !json.Valid(data) || !utf8.Valid(data) {
			t.Errorf("%s is encoded as %q, which is no JSON", name, data)
		}
		got := reflect.New(reflect.TypeOf(want))
		if err := Unmarshal(data, got.Interface()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got.Elem().Interface(), want) {
			t.Errorf("%s: %+v became %+v", name, want, got.Elem())
		}
	}
}

func TestEncodingLeavesWhatItEncodesAsItIs(t *testing.T) {
	c := &MakeLink{Path: "/srv/caf\xe9", Target: "x"}
	_, first, err := Encode(c)
	if err != nil || c.Path != "/srv/caf\xe9" {
		t.Fatalf("%q, %v", c.Path, err)
	}
	_, second, _ := Encode(&MakeLink{Path: "/srv/caf\xe8", Target: "x"})
	if string(first) == string(second) {
		t.Errorf("two paths have one encoding: %s", first)
	}
}

// A link that is only given to another owner still leads where it did.
func TestPlannedLinkLeadsToTheBytesThatItNames(t *testing.T) {
	dir := t.TempDir()
	target := dir + "/caf\xe9"
	var p Preview
	p.Lay([]Effect{Is(File(dir+"/link"), FileInfo{Type: Symlink, Target: "caf\xe9"})})
	if got, err := NewView(New(), &p).Follow(dir + "/link"); err != nil || got != target {
		t.Errorf("it leads to %q, %v, want %q", got, err, target)
	}
}
