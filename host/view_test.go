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
