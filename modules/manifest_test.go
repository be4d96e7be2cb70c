package modules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/host"
)

func TestManifestKeepsATree(t *testing.T) {
	root := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(root, "a", "leer"), 0o700))
	must(os.WriteFile(filepath.Join(root, "a", "run.sh"), []byte("#!/bin/sh\n"), 0o700))
	must(os.WriteFile(filepath.Join(root, "a.txt"), []byte("x"), 0o600))
	must(os.WriteFile(filepath.Join(root, "bad\xff"), nil, 0o666))
	must(os.Symlink("nowhere\xfe", filepath.Join(root, "dangling")))
	must(os.Symlink(".", filepath.Join(root, "round")))

	m, bodies, err := BuildManifest(root)
	must(err)
	data, err := m.Encode()
	must(err)
	got, err := DecodeManifest(data)
	must(err)
	var lines []string
	for _, e := range got.Entries {
		lines = append(lines, strings.Join([]string{e.Path, string(e.Type), e.Mode.String(), e.Target}, "|"))
		if e.Type == host.Regular && bodies[e.Sum] != filepath.Join(root, e.Path) {
			t.Errorf("the body of %s is said to be at %q", e.Path, bodies[e.Sum])
		}
	}
	want := []string{
		"a|directory|0755|", "a.txt|file|0644|", "a/leer|directory|0755|", "a/run.sh|file|0755|",
		"bad\xff|file|0644|", "dangling|link|0000|nowhere\xfe", "round|link|0000|.",
	}
	if d := cmp.Diff(want, lines); d != "" {
		t.Errorf("the tree (-want +got):\n%s", d)
	}
	again, _, err := BuildManifest(root)
	must(err)
	if twice, _ := again.Encode(); string(twice) != string(data) {
		t.Error("the same tree has two encodings")
	}
}

func TestDecodeManifestRefusesWhatLeavesTheTree(t *testing.T) {
	sum := strings.Repeat("a", 64)
	cases := map[string]string{
		"parent":               `{"Entries":[{"path":"../x","type":"file","sum":"` + sum + `"}]}`,
		"parent inside":        `{"Entries":[{"path":"a","type":"directory"},{"path":"a/../../x","type":"file","sum":"` + sum + `"}]}`,
		"absolute":             `{"Entries":[{"path":"/etc/x","type":"directory"}]}`,
		"the folder itself":    `{"Entries":[{"path":".","type":"directory"}]}`,
		"empty name":           `{"Entries":[{"type":"directory"}]}`,
		"a NUL":                `{"Entries":[{"path":"a\u0000b","type":"directory"}]}`,
		"bytes with a parent":  `{"Entries":[{"path_bytes":"Li4v/w==","type":"directory"}]}`,
		"below a link":         `{"Entries":[{"path":"l","type":"link","target":"/etc"},{"path":"l/x","type":"file","sum":"` + sum + `"}]}`,
		"below nothing":        `{"Entries":[{"path":"d/x","type":"file","sum":"` + sum + `"}]}`,
		"twice":                `{"Entries":[{"path":"d","type":"directory"},{"path":"d","type":"directory"}]}`,
		"setuid":               `{"Entries":[{"path":"x","type":"file","mode":2541,"sum":"` + sum + `"}]}`,
		"a device":             `{"Entries":[{"path":"x","type":"device"}]}`,
		"no sum":               `{"Entries":[{"path":"x","type":"file"}]}`,
		"no target":            `{"Entries":[{"path":"x","type":"link"}]}`,
		"more than one value":  `{"Entries":[]} {"Entries":[]}`,
		"something else":       `[]`,
		"an unknown attribute": `{"Entries":[],"Root":"/"}`,
	}
	for name, data := range cases {
		if m, err := DecodeManifest([]byte(data)); err == nil {
			t.Errorf("%s: taken as %+v", name, m)
		}
	}
}

func FuzzDecodeManifest(f *testing.F) {
	f.Add([]byte(`{"Entries":[{"path":"a","type":"directory"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := DecodeManifest(data)
		if err != nil {
			return
		}
		for _, e := range m.Entries {
			if !filepath.IsLocal(e.Path) {
				t.Errorf("%q leaves the tree", e.Path)
			}
		}
	})
}
