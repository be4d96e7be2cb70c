package lang

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/rogpeppe/go-internal/txtar"

	"muster/internal/lang/diag"
	"muster/internal/lang/plays"
)

// unpack writes the files of an archive to a folder and returns it.
func unpack(t testing.TB, a *txtar.Archive) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range a.Files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, expand(f.Data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var marks = regexp.MustCompile(`@@(byte|repeat) ([0-9a-f]+) ?(.*?)@@`)

// expand writes what a fixture can't hold: @@byte ff@@ is that byte, and
// @@repeat 1000 TEXT@@ as many times the text.
func expand(data []byte) []byte {
	if !bytes.Contains(data, []byte("@@")) {
		return data
	}
	return marks.ReplaceAllFunc(data, func(mark []byte) []byte {
		m := marks.FindSubmatch(mark)
		if string(m[1]) == "byte" {
			n, _ := strconv.ParseUint(string(m[2]), 16, 8)
			return []byte{byte(n)}
		}
		n, _ := strconv.Atoi(string(m[2]))
		return bytes.Repeat(m[3], n)
	})
}

func testOptions(dir string) plays.Options {
	return plays.Options{Kinds: testKinds(), Fleet: testFleet(), Root: dir, Facts: factsType, Secrets: fakeSecrets{"mysql/app": "geheim-4711", "rotated/db": "*new-4711|old-4711", "rotating/db": "now-2342|=go-2342", "retiring/db": "*now-1001|-old-1001", "rotated/key": "next-0815|*used-0815"}, RequireValues: true}
}

// expectations returns what "ERROR: …" and "WARNING: …" at the end of lines
// say, as "FILE:LINE: TEXT"; "ERROR+1: …" is said of the next line.
func expectations(dir string, a *txtar.Archive) []string {
	var want []string
	for _, f := range a.Files {
		for n, line := range strings.Split(string(f.Data), "\n") {
			for _, word := range []string{"ERROR: ", "WARNING: "} {
				if _, text, ok := strings.Cut(line, "# "+strings.Replace(word, ":", "+1:", 1)); ok {
					want = append(want, fmt.Sprintf("%s:%d: %s", f.Name, n+2, strings.TrimSpace(text)))
				}
				parts := strings.Split(line, "# "+word)
				for _, text := range parts[1:] {
					want = append(want, fmt.Sprintf("%s:%d: %s", f.Name, n+1, strings.TrimSpace(text)))
				}
			}
		}
	}
	sort.Strings(want)
	return want
}

func describe(dir string, d *hcl.Diagnostic) (where, text string) {
	where = "-"
	if d.Subject != nil {
		name, err := filepath.Rel(dir, d.Subject.Filename)
		if err != nil || strings.HasPrefix(name, "..") {
			name = d.Subject.Filename
		}
		where = fmt.Sprintf("%s:%d", name, d.Subject.Start.Line)
	}
	return where, d.Summary + ": " + d.Detail + " " + diag.Hint(d)
}

// TestBad holds every archive in testdata/bad against what its lines say. The
// text after ERROR is "SUMMARY", or "SUMMARY: … HINT or part of the detail":
// all its parts, separated by " … ", must be in the message.
func TestBad(t *testing.T) {
	paths, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			dir := unpack(t, a)
			_, diags := Load(filepath.Join(dir, "site.hcl"), testOptions(dir))
			want := expectations(dir, a)
			matched := make([]bool, len(want))
			for _, d := range diags {
				where, text := describe(dir, d)
				found := false
				for i, w := range want {
					rest, ok := strings.CutPrefix(w, where+": ")
					if !ok || matched[i] {
						continue
					}
					all := true
					for _, part := range strings.Split(rest, " … ") {
						all = all && strings.Contains(text, part)
					}
					if all {
						matched[i], found = true, true
						break
					}
				}
				if !found {
					t.Errorf("not expected: %s: %s", where, text)
				}
				if d.Detail == "" || d.Summary == "" {
					t.Errorf("%s: a diagnostic needs a summary and a detail: %q %q", where, d.Summary, d.Detail)
				}
			}
			for i, w := range want {
				if !matched[i] {
					t.Errorf("not reported: %s", w)
				}
			}
		})
	}
}
