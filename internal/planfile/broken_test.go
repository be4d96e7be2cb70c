package planfile_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"muster/internal/planfile"
)

// unpacked is a plan file with everything in it, compressed and not.
func unpacked(t testing.TB, data []byte) []byte {
	t.Helper()
	all := bytes.Clone(data)
	for _, f := range entries(t, data) {
		all = append(append(all, f.name...), f.data...)
	}
	return all
}

type entry struct {
	name   string
	method uint16
	data   []byte
}

func entries(t testing.TB, data []byte) []entry {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var list []entry
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, entry{f.Name, f.Method, b})
	}
	return list
}

// packed is a plan file of entries, its checksum right.
func packed(t testing.TB, list []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for _, e := range list {
		w, err := z.CreateHeader(&zip.FileHeader{Name: e.name, Method: e.method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.SetComment(strings.Repeat(" ", trailer)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return stamped(b.Bytes(), planfile.Format)
}

const trailer = len("muster-plan format=000 size=00000000000000000000 sha256=") + 64

// stamped gives bytes the trailer of a format, in place of their last ones.
func stamped(data []byte, format int) []byte {
	head := fmt.Sprintf("muster-plan format=%03d size=%020d sha256=", format, len(data))
	b := append(bytes.Clone(data[:len(data)-trailer]), head...)
	sum := sha256.Sum256(b)
	return append(b, hex.EncodeToString(sum[:])...)
}

func TestAPlanCutShortIsRefused(t *testing.T) {
	p := sample()
	p.Files = append(p.Files, planfile.File{Name: "large", Data: bytes.Repeat([]byte("PK\x05\x06"), 5000)})
	data := written(t, p)
	for i := range 50 {
		n := len(data) * i / 50
		if _, err := read(data[:n]); !errors.Is(err, planfile.ErrCut) {
			t.Errorf("cut to %d of %d bytes: %v", n, len(data), err)
		}
	}
	if _, err := read(data[:len(data)-1]); !errors.Is(err, planfile.ErrCut) {
		t.Error("the last byte is missing:", err)
	}
}

func TestAFlippedByteIsRefused(t *testing.T) {
	data := written(t, sample())
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		_, err := read(bad)
		var other *planfile.VersionError
		if err == nil || errors.As(err, &other) {
			t.Errorf("byte %d of %d: %v", i, len(data), err)
		}
		if i > 100 && i < len(data)-trailer-22 && !errors.Is(err, planfile.ErrEdited) {
			t.Errorf("byte %d of %d: %v", i, len(data), err)
		}
	}
}

func TestOtherFilesAreRefused(t *testing.T) {
	data := written(t, sample())
	zipped := entries(t, data)
	noStamp := packed(t, zipped[1:])
	other := sample()
	other.Muster = "0.2.0"
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"a playbook":              {[]byte("play \"x\" {}\n"), "this is no plan file"},
		"a longer playbook":       {bytes.Repeat([]byte("play \"x\" {}\n"), 100), "this is no plan file"},
		"an empty file":           {nil, "cut short"},
		"bytes in addition":       {append(bytes.Clone(data), "\n"...), "cut short"},
		"a part taken out":        {append(bytes.Clone(data[:200]), data[300:]...), "was changed since it was written"},
		"another format":          {stamped(data, 9), "is of format 9, and this muster reads format 2"},
		"another version":         {written(t, other), "made by muster 0.2.0, and this is 0.1.0"},
		"another archive":         {noStamp, "this is no plan file"},
		"a checksum, and no plan": {stamped(make([]byte, 1000), planfile.Format), "this is no plan file"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := read(test.data); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Error(err)
			}
		})
	}
}

// TestAHostilePlanIsRefused edits plan files as someone would who makes the
// checksum anew.
func TestAHostilePlanIsRefused(t *testing.T) {
	manifest := func(edit func(m map[string]any)) func([]entry) []entry {
		return func(list []entry) []entry {
			var m map[string]any
			if err := json.Unmarshal(list[1].data, &m); err != nil {
				t.Fatal(err)
			}
			edit(m)
			list[1].data, _ = json.Marshal(m)
			return list
		}
	}
	file := func(edit func(f map[string]any)) func([]entry) []entry {
		return manifest(func(m map[string]any) { edit(m["files"].([]any)[1].(map[string]any)) })
	}
	named := func(name any) func([]entry) []entry {
		return file(func(f map[string]any) { f["name"] = name })
	}
	add := func(f map[string]any) func([]entry) []entry {
		return manifest(func(m map[string]any) { m["files"] = append(m["files"].([]any), f) })
	}
	bomb := bytes.Repeat([]byte(" "), planfile.MaxInventory+1)
	for name, test := range map[string]struct {
		edit func([]entry) []entry
		want string
	}{
		"nothing":                        {func(l []entry) []entry { return l }, ""},
		"a name that isn't clean":        {named("a/../../../../etc/passwd"), "no path of a file"},
		"an absolute name that isn't":    {named("/home/../etc/passwd"), "no path of a file"},
		"the root folder":                {named("../../.."), "no path of a file"},
		"an empty name":                  {named(""), "no path of a file"},
		"a name with a zero":             {named("a\x00b"), "no path of a file"},
		"a name that is too long":        {named(strings.Repeat("x", 300)), "too long"},
		"a path that is too long":        {named(strings.Repeat("x/", 3000) + "x"), "no path of a file"},
		"a name that is a number":        {named(3), "manifest"},
		"the same path twice":            {named("/home/ann/shared/motd/../motd"), "no path of a file"},
		"the same file by another name":  {add(map[string]any{"name": "/home/ann/site/playbooks/tree", "type": "directory"}), "twice"},
		"a file below a file":            {add(map[string]any{"name": "playbooks/web.hcl/x", "type": "directory"}), "which is no folder"},
		"a file below a link":            {add(map[string]any{"name": "playbooks/tree/link/x", "type": "directory"}), "which is no folder"},
		"a link in place of the project": {add(map[string]any{"name": "/home/ann/site", "type": "symlink", "target": "/etc"}), "which is no folder"},
		"a link without a target":        {add(map[string]any{"name": "l", "type": "symlink"}), "no target"},
		"a device":                       {add(map[string]any{"name": "l", "type": "device"}), "unknown type"},
		"a file of which nothing is":     {file(func(f map[string]any) { f["sum"] = strings.Repeat("0", 64) }), "are not there"},
		"a sum that is a path":           {file(func(f map[string]any) { f["sum"] = "../../x" }), "no sum"},
		"another size":                   {file(func(f map[string]any) { f["size"] = 1 }), "are not there"},
		"a field of another version":     {manifest(func(m map[string]any) { m["more"] = 1 }), "unknown field"},
		"no key":                         {manifest(func(m map[string]any) { delete(m, "key") }), "its key"},
		"a playbook that isn't there":    {manifest(func(m map[string]any) { m["playbook"] = "x.hcl" }), "not among its files"},
		"another version in the middle":  {manifest(func(m map[string]any) { m["muster"] = "9" }), "two versions"},
		"a relative folder":              {manifest(func(m map[string]any) { m["dir"] = "site" }), "no working directory"},
		"a project outside":              {manifest(func(m map[string]any) { m["root"] = "/a/../.." }), "no project's folder"},
		"a task twice":                   {manifest(func(m map[string]any) { m["tasks"] = append(m["tasks"].([]any), m["tasks"].([]any)[0]) }), "twice"},
		"a variable of no type":          {manifest(func(m map[string]any) { m["variables"] = []any{map[string]any{"name": "v", "type": "x", "value": 1}} }), "variable"},
		"inventory files without number": {manifest(func(m map[string]any) { m["inventory"] = 1e6 }), "inventory of"},
		"an inventory that isn't there":  {manifest(func(m map[string]any) { m["inventory"] = 3 }), "there is no entry inventory"},
		"an entry of nothing":            {func(l []entry) []entry { return append(l, entry{"../../etc/passwd", zip.Store, nil}) }, "belongs to nothing"},
		"an entry twice":                 {func(l []entry) []entry { return append(l, l[2]) }, "twice"},
		"a compressed file": {func(l []entry) []entry {
			l[len(l)-1].method = zip.Deflate
			return l
		}, "compressed as none is"},
		"two manifests in one": {func(l []entry) []entry {
			l[1].data = append(l[1].data, "{}"...)
			return l
		}, "more than one value"},
		"a deep manifest": {func(l []entry) []entry {
			l[1].data = []byte(`{"facts":{"h":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + `}}`)
			return l
		}, "levels deep"},
		"a bomb of an inventory": {func(l []entry) []entry {
			l[2].data = bomb
			return l
		}, "more than"},
		"a stamp of another shape": {func(l []entry) []entry {
			l[0].data = []byte("muster \"0.1.0\" \n")
			return l
		}, "no version"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(packed(t, test.edit(entries(t, written(t, sample())))))
			switch {
			case test.want == "" && err == nil:
			case err == nil || test.want == "" || !strings.Contains(err.Error(), test.want) || !errors.Is(err, planfile.ErrEdited):
				t.Error(err)
			}
		})
	}
}

func TestWhatIsSealedBelongsToItsManifest(t *testing.T) {
	id, _ := age.GenerateX25519Identity()
	p := sensitive(t)
	p.Recipients = []age.Recipient{id.Recipient()}
	list := entries(t, written(t, p))
	list[1].data = bytes.Replace(list[1].data, []byte(`"ann@laptop"`), []byte(`"eve@laptop"`), 1)
	got, err := read(packed(t, list))
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Unseal(id); !errors.Is(err, planfile.ErrEdited) {
		t.Error(err)
	}
}

func TestABrokenPlanIsStillKnownAsOne(t *testing.T) {
	data := written(t, sample())
	headless := bytes.Clone(data)
	copy(headless, "XX")
	for name, test := range map[string]struct {
		data []byte
		want bool
	}{
		"a plan":          {data, true},
		"its first bytes": {data[:3], true},
		"its last bytes":  {headless, true},
		"an empty file":   {nil, false},
		"a playbook":      {[]byte("play \"x\" {}\n"), false},
		"a long playbook": {bytes.Repeat([]byte("# play\n"), 1000), false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, test.data, 0o600); err != nil {
				t.Fatal(err)
			}
			if planfile.IsPlan(path) != test.want {
				t.Error(!test.want)
			}
		})
	}
	if planfile.IsPlan(t.TempDir()) || planfile.IsPlan("/no/such/file") {
		t.Error("what can't be read is no plan")
	}
}

// FuzzRead takes whatever stands before a right trailer.
func FuzzRead(f *testing.F) {
	data := written(f, sample())
	f.Add(data)
	f.Add(data[:100])
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > trailer {
			data = stamped(data, planfile.Format)
		}
		use(t, data)
	})
}

// FuzzManifest takes whatever manifest there may be in a right archive.
func FuzzManifest(f *testing.F) {
	list := entries(f, written(f, sample()))
	f.Add(list[1].data)
	f.Add([]byte(`{"muster":"0.1.0","created":"2026-01-02T03:04:05Z","by":"","playbook":"p","dir":"/","files":[{"name":"p"}],"inventory":0,"tasks":null}`))
	f.Fuzz(func(t *testing.T, manifest []byte) {
		list := append([]entry(nil), list...)
		list[1].data = manifest
		use(t, packed(t, list))
	})
}

// use does with a plan file what can be done with one.
func use(t *testing.T, data []byte) {
	p, err := read(data)
	if err != nil {
		return
	}
	_, _ = p.VarSources(nil)
	_ = planfile.Compare(p.Tasks, p.Tasks)
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	if err := os.Mkdir(in, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Lay(in); err == nil {
		var b bytes.Buffer
		if err := planfile.Write(&b, p); err != nil {
			t.Errorf("what was read can't be written: %v", err)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Error("something was written beside the folder")
	}
}
