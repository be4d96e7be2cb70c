package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

var changed = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// entry is one thing of a test's archive.
type entry = tar.Header

func dir(name string) entry { return entry{Typeflag: tar.TypeDir, Name: name, Mode: 0o755} }
func regular(name string) entry {
	return entry{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: 5}
}
func link(name, target string) entry {
	return entry{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}
}
func second(name, target string) entry {
	return entry{Typeflag: tar.TypeLink, Name: name, Linkname: target}
}

// tarOf is a tar file, in which files hold "text\n", or as many zeros as they are large.
func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.ModTime = changed
		if err := w.WriteHeader(&e); err != nil {
			t.Fatal(err)
		}
		var body io.Reader = strings.NewReader("text\n")
		if e.Size != 5 {
			body = io.LimitReader(zeros{}, e.Size)
		}
		if e.Size > 0 {
			if _, err := io.Copy(w, body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// packed is data as a format packs it.
func packed(t testing.TB, format string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch format {
	case "gz":
		w = gzip.NewWriter(&b)
	case "xz":
		w, err = xz.NewWriter(&b)
	case "xz-large":
		w, err = xz.WriterConfig{DictCap: 128 << 20}.NewWriter(&b)
	case "zst":
		w, err = zstd.NewWriter(&b)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// zipOf is a zip file. Names that end in "/" are directories; one with "→" is a link.
func zipOf(t testing.TB, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		name, target, linked := strings.Cut(name, "→")
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: changed}
		switch {
		case strings.HasSuffix(name, "/"):
			h.SetMode(fs.ModeDir | 0o755)
		case linked:
			h.SetMode(fs.ModeSymlink | 0o777)
		case strings.HasSuffix(name, ".sh"):
			h.SetMode(0o755)
		case strings.HasSuffix(name, ".dev"):
			h.SetMode(fs.ModeDevice | 0o644)
		default:
			h.SetMode(0o644)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if text := "text\n"; !strings.HasSuffix(name, "/") {
			if linked {
				text = target
			}
			if _, err := io.WriteString(f, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// served is what the cases' server has.
func served(t testing.TB) map[string][]byte {
	app := tarOf(t, dir("app-1.0/"), dir("app-1.0/bin/"), entry{Typeflag: tar.TypeReg, Name: "app-1.0/bin/app", Mode: 0o4777, Size: 5}, regular("app-1.0/README"),
		link("app-1.0/current", "bin/app"), second("app-1.0/bin/again", "app-1.0/bin/app"), regular("app-1.0/lib/deep/down"), regular("app-1.0/ümläut \xff"), link("app-1.0/lib/up", "../bin"))
	huge := tarOf(t, entry{Typeflag: tar.TypeReg, Name: "zeros", Mode: 0o644, Size: 3 << 20})
	many := []entry{}
	for range 50 {
		many = append(many, regular("f"))
	}
	cut := packed(t, "gz", app)
	files := map[string][]byte{
		"/app.tar": app, "/app.tar.gz": packed(t, "gz", app), "/app.tar.xz": packed(t, "xz", app), "/app.tar.zst": packed(t, "zst", app),
		"/app.zip":           zipOf(t, "app-1.0/", "app-1.0/bin/app.sh", "app-1.0/README", "app-1.0/current→bin/app.sh"),
		"/two.tar":           tarOf(t, regular("app-2.0/README"), regular("app-2.0/NEW")),
		"/dotdot.tar":        tarOf(t, regular("good"), regular("../evil")),
		"/dotdot2.tar":       tarOf(t, regular("good/../../evil")),
		"/absolute.tar":      tarOf(t, regular("/tmp/evil")),
		"/link.tar":          tarOf(t, link("out", "../../etc")),
		"/link-abs.tar":      tarOf(t, link("out", "/etc/passwd")),
		"/link-chain.tar":    tarOf(t, link("here", "."), link("out", "here/..")),
		"/link-below.tar":    tarOf(t, dir("a"), link("l", "a"), regular("l/evil")),
		"/link-strip.tar":    tarOf(t, link("app/out", "../other")),
		"/hard.tar":          tarOf(t, second("evil", "/etc/passwd")),
		"/hard-out.tar":      tarOf(t, second("evil", "../../etc/passwd")),
		"/hard-none.tar":     tarOf(t, second("evil", "later"), regular("later")),
		"/hard-link.tar":     tarOf(t, link("l", "x"), second("evil", "l")),
		"/device.tar":        tarOf(t, entry{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3, Mode: 0o666}),
		"/block.tar":         tarOf(t, entry{Typeflag: tar.TypeBlock, Name: "sda", Devmajor: 8, Mode: 0o666}),
		"/fifo.tar":          tarOf(t, entry{Typeflag: tar.TypeFifo, Name: "pipe", Mode: 0o666}),
		"/bomb.tar.gz":       packed(t, "gz", huge),
		"/bomb.tar.xz":       packed(t, "xz", huge),
		"/bomb.tar.zst":      packed(t, "zst", huge),
		"/bomb-strip.tgz":    packed(t, "gz", tarOf(t, entry{Typeflag: tar.TypeReg, Name: "zeros", Mode: 0o644, Size: 64 << 20}, regular("a/b"))),
		"/window.tar.xz":     packed(t, "xz-large", app),
		"/many.tar":          tarOf(t, many...),
		"/twice.tar":         tarOf(t, regular("f"), entry{Typeflag: tar.TypeReg, Name: "f", Mode: 0o600, Size: 0}, link("f", "g")),
		"/clash.tar":         tarOf(t, dir("f"), regular("f")),
		"/cut.tar.gz":        cut[:len(cut)-20],
		"/none.tar.gz":       []byte("<html>not found</html>"),
		"/file.gz":           packed(t, "gz", []byte("no tar file")),
		"/dotdot.zip":        zipOf(t, "good", "../evil"),
		"/link.zip":          zipOf(t, "out→../etc"),
		"/device.zip":        zipOf(t, "null.dev"),
		"/readonly.tar":      tarOf(t, entry{Typeflag: tar.TypeDir, Name: "ro", Mode: 0o555}, regular("ro/f")),
		"/named-note.tar":    tarOf(t, regular(".muster-archive"), regular("f")),
		"/dot.tar":           tarOf(t, dir("./"), regular("./f")),
		"/no-folders.tar":    tarOf(t, regular("a/b/c/d")),
		"/links-only.tar":    tarOf(t, dir("a/b"), link("a/b/l", "../../c"), link("dangling", "nowhere"), link("round", "round")),
		"/empty.tar":         tarOf(t),
		"/dictionary.zip.gz": packed(t, "gz", zipOf(t, "a")),
	}
	return files
}
