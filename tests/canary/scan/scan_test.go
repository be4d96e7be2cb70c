package scan_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"muster/tests/await"
	"muster/tests/canary/scan"
)

func planted(hits []scan.Hit) bool {
	for _, h := range hits {
		if h.Place == "here" {
			return true
		}
	}
	return false
}

// TestALeakIsFound plants a value in each way, and has nothing found where there is none.
func TestALeakIsFound(t *testing.T) {
	for _, v := range []scan.Value{scan.Plain("here"), scan.Quoted("here")} {
		s := scan.New(v, scan.Plain("elsewhere"))
		quoted, err := json.Marshal(v.Text)
		if err != nil {
			t.Fatal(err)
		}
		leaks := map[string]string{
			"plain": v.Text, "hex": hex.EncodeToString([]byte(v.Text)), "query": url.QueryEscape(v.Text), "path": url.PathEscape(v.Text), "JSON": string(quoted),
			"shell": strings.ReplaceAll(v.Text, "'", `'\''`), "two lines": v.Text[:7] + "\n" + v.Text[7:], "two frames": v.Text[:len(v.Text)/2] + "\x00\x17frame" + v.Text[len(v.Text)/2:],
			"cut": "…" + v.Text[len(v.Text)/2:], "base64 in lines": base64.StdEncoding.EncodeToString([]byte("ab" + v.Text))[:20] + "\n  " + base64.StdEncoding.EncodeToString([]byte("ab" + v.Text))[20:],
		}
		for n := range 3 {
			leaks["base64 behind "+strings.Repeat("x", n)] = base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", n) + v.Text + "yyy"))
			leaks["base64 of URLs behind "+strings.Repeat("x", n)] = base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("x", n) + v.Text + "y"))
		}
		for name, text := range leaks {
			if !planted(s.Bytes("x", []byte("before "+text+" after"))) {
				t.Errorf("%s isn't found: %q", name, text)
			}
		}
		if hits := s.Bytes("x", []byte("nothing at all, "+scan.Plain("other").Text)); hits != nil {
			t.Error(hits)
		}
	}
}

func TestALeakIsFoundInFilesAndInWhatPacksThem(t *testing.T) {
	v, dir := scan.Quoted("here"), t.TempDir()
	s := scan.New(v)
	var packed, zipped bytes.Buffer
	g := gzip.NewWriter(&packed)
	z := zip.NewWriter(&zipped)
	inner, err := z.Create("part")
	for _, e := range []error{err, write(g, v.Text), write(inner, v.Text), g.Close(), z.Close()} {
		if e != nil {
			t.Fatal(e)
		}
	}
	for name, data := range map[string]string{"file": v.Text, "packed": packed.String(), "zip": zipped.String(), "name-" + scan.Plain("here").Text: ""} {
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		found := s
		if data == "" {
			found = scan.New(scan.Plain("here"))
		}
		if !planted(found.Tree(dir, nil)) {
			t.Errorf("in %s it isn't found", name)
		}
		if err := os.Remove(at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/"+scan.Plain("here").Text, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if !planted(scan.New(scan.Plain("here")).Tree(dir, nil)) {
		t.Error("in a link's target it isn't found")
	}
}

func write(w interface{ Write([]byte) (int, error) }, text string) error {
	_, err := w.Write([]byte(text))
	return err
}

func TestALeakIsFoundInAProcess(t *testing.T) {
	v := scan.Quoted("here")
	s := scan.New(v)
	for name, cmd := range map[string]*exec.Cmd{"argument": exec.Command("sh", "-c", "read x", v.Text), "environment": exec.Command("sh", "-c", "read x")} {
		cmd.Env = []string{"PATH=/bin"}
		if name == "environment" {
			cmd.Env = append(cmd.Env, "TOKEN="+v.Text)
		}
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		await.Until(t, "it is found as an "+name, func() bool { return planted(s.Processes()) })
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait()
	}
}
