package loaded

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"muster/host"
)

func TestChangedFilesAreFound(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.conf")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	v := func() *host.View { return host.NewView(host.New(), nil) }
	names := []string{file, dir, filepath.Join(dir, "*.conf")}
	was, err := Sums(v(), names)
	if err != nil {
		t.Fatal(err)
	}
	long, soon := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for _, test := range []struct {
		name   string
		text   string
		loaded map[string]string
		since  time.Time
		want   int
	}{
		{"the stamp says loaded, whatever the time", "one", was, long, 0},
		{"the stamp says changed, whatever the time", "two", was, soon, 3},
		{"changed after the start, without a stamp", "one", nil, long, 3},
		{"changed before the start, without a stamp", "one", nil, soon, 0},
		{"a path that the stamp doesn't have is judged by time", "one", map[string]string{file: was[file]}, long, 2},
		{"nothing is known of the start", "one", nil, time.Time{}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			write(test.text)
			got, err := Changed(v(), names, test.loaded, test.since)
			if err != nil || len(got) != test.want {
				t.Errorf("changed are %v, %v; want %d", got, err, test.want)
			}
		})
	}
	t.Run("a change within the clock's lag counts", func(t *testing.T) {
		st, err := newest(v(), file)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := Changed(v(), []string{file}, nil, st.Add(6*time.Millisecond)); len(got) != 1 {
			t.Error("it is missed")
		}
	})
}
