package journal_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/journal"
)

func TestAFileThatIsNoJournalIsRefused(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good")
	j, err := journal.Open(good, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := begin(t, j, journal.RunInfo{Playbook: "p"}, "h")
	for i := range 200 {
		grant(t, r, "h", fileTask(fmt.Sprint(i), host.Description{Action: host.Create, Target: strings.Repeat("x", 200)}))
	}
	if err := errors.Join(r.End("changed"), j.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	for name, test := range map[string]struct {
		data []byte
		edit string // instead: SQL
		want error
	}{
		"text":                       {data: []byte("play \"x\" {}\n"), want: journal.ErrDamaged},
		"long text":                  {data: bytes.Repeat([]byte("play \"x\" {}\n"), 5000), want: journal.ErrDamaged},
		"a first page of zeros":      {data: append(make([]byte, page), data[page:]...), want: journal.ErrDamaged},
		"a schema of zeros":          {data: append(append(bytes.Clone(data[:100]), make([]byte, page-100)...), data[page:]...), want: journal.ErrDamaged},
		"everything else zeros":      {data: append(bytes.Clone(data[:page]), make([]byte, len(data)-page)...), want: journal.ErrDamaged},
		"everything else noise":      {data: append(bytes.Clone(data[:page]), bytes.Repeat([]byte("noise"), (len(data)-page)/5)...), want: journal.ErrDamaged},
		"cut to half":                {data: data[:len(data)/2/page*page], want: journal.ErrDamaged},
		"another program's database": {edit: "PRAGMA application_id = 7", want: journal.ErrDamaged},
		"a run that is no run":       {edit: "UPDATE runs SET info = 'x'", want: journal.ErrDamaged},
		"a change that is none":      {edit: "UPDATE tasks SET planned = '{'", want: journal.ErrDamaged},
		"a newer version":            {edit: "PRAGMA user_version = 2", want: journal.ErrNewer},
		"nothing wrong":              {edit: "SELECT 1"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "j")
			if test.data == nil {
				test.data = data
			}
			if err := os.WriteFile(path, test.data, 0o600); err != nil {
				t.Fatal(err)
			}
			if test.edit != "" {
				db, err := sql.Open("sqlite", path)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := db.Exec(test.edit); err != nil {
					t.Fatal(err)
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
			was, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range []journal.Options{{ReadOnly: true}, {}} {
				_, err = use(path, o)
				if test.want == nil && err == nil {
					continue
				}
				if test.want == nil || !errors.Is(err, test.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
					t.Errorf("read only %v: %v", o.ReadOnly, err)
				}
			}
			if is, err := os.ReadFile(path); err != nil || !bytes.Equal(is, was) {
				t.Error("the file was changed", err)
			}
		})
	}
}

// use reads everything that is in a journal.
func use(path string, o journal.Options) (*journal.Detail, error) {
	j, err := journal.Open(path, o)
	if err != nil {
		return nil, err
	}
	d, err := j.Find("last")
	return d, errors.Join(err, j.Close())
}
