package host

import (
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
