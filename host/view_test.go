package host

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestSumsOfFilesWithPlannedAttributesAreTheirOwn(t *testing.T) {
	dir := t.TempDir()
	var p Preview
	v := NewView(New(), nil).With(&p)
	want := map[string]string{}
	for _, name := range []string{"a", "b"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		want[path] = ContentOf([]byte(name), false).Sum
		info, err := v.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		info.Mode = 0o644
		info = FileInfo{Type: info.Type, Mode: info.Mode, Owner: info.Owner, Group: info.Group, Size: info.Size}
		p.Lay([]Effect{Is(File(path), info)})
	}
	for path, sum := range want {
		if got, err := v.Sum(path); err != nil || got != sum {
			t.Errorf("%s has the sum %.12s, want %.12s (%v)", path, got, sum, err)
		}
	}
}

func TestNamesThatMayAppearAreNotAbsentForCertain(t *testing.T) {
	dir := t.TempDir()
	var p Preview
	p.Lay([]Effect{Begins(Files, dir+"/a.")})
	v := NewView(New(), &p)
	for _, c := range []struct {
		name string
		open bool
	}{{"a.2026~", true}, {"a", false}, {"b.2026~", false}} {
		if _, err := v.Lstat(dir + "/" + c.name); errors.Is(err, ErrNotYet) != c.open {
			t.Errorf("%s, beside a file whose backup may come: %v", c.name, err)
		}
	}
	if err := os.WriteFile(dir+"/a.old", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if is, err := v.Lstat(dir + "/a.old"); err != nil || !is.Exists() {
		t.Errorf("what stands there is %+v, %v", is, err)
	}
}

// A task that may alter any file may alter those that tasks before it leave, too.
func TestWhatMayAlterAnythingOfASpaceLeavesNothingCertainInIt(t *testing.T) {
	dir := t.TempDir()
	var p Preview
	p.Lay([]Effect{Is(File(dir+"/a"), FileInfo{Type: Regular, Sum: "1"}), Gone(File(dir + "/b")), Is(Key{Users, "app"}, User{Name: "app"})})
	v := NewView(New(), &p)
	if is, err := v.Lstat(dir + "/a"); err != nil || is.Sum != "1" {
		t.Fatalf("what is to be written is %+v, %v", is, err)
	}
	p.Lay([]Effect{Open(Files, "")})
	for _, name := range []string{"a", "b", "c"} {
		if is, err := v.Lstat(dir + "/" + name); !errors.Is(err, ErrNotYet) {
			t.Errorf("%s is certain: %+v, %v", name, is, err)
		}
	}
	if u, err := v.User(t.Context(), "app"); err != nil || u == nil {
		t.Errorf("a user is uncertain, too: %+v, %v", u, err)
	}
	p.Lay([]Effect{Is(File(dir+"/a"), FileInfo{Type: Regular, Sum: "2"})})
	if is, err := v.Lstat(dir + "/a"); err != nil || is.Sum != "2" {
		t.Errorf("what is written behind it is %+v, %v", is, err)
	}
}

// What a directory holds goes with it, and doesn't come back with one that is made anew.
func TestWhatADirectoryHeldIsGoneWithIt(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/kept", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	anew := Is(File(dir), FileInfo{Type: Directory, Mode: 0o755})
	for name, c := range map[string]struct {
		effects []Effect
		there   bool
	}{
		"it is removed":                {[]Effect{Gone(File(dir))}, false},
		"it is removed and made anew":  {[]Effect{Gone(File(dir)), anew}, false},
		"a file takes its place":       {[]Effect{Is(File(dir), FileInfo{Type: Regular})}, false},
		"only its mode is another":     {[]Effect{anew}, true},
		"what it holds is put there":   {[]Effect{Gone(File(dir)), anew, Is(File(dir+"/kept"), FileInfo{Type: Regular})}, true},
		"what is beside it is removed": {[]Effect{Gone(File(dir + "x"))}, true},
	} {
		var p Preview
		p.Lay(c.effects)
		is, err := NewView(New(), &p).Lstat(dir + "/kept")
		if err != nil || is.Exists() != c.there {
			t.Errorf("%s: what it held is %+v, %v", name, is, err)
		}
	}
}
