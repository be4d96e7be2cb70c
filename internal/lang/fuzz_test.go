package lang

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzLoad reads any file, and evaluates what it can read for every host. Run
// it with -fuzzminimizetime 5x: making inputs smaller takes long otherwise.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.txtar", "testdata/good/*.txtar"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if a, err := txtar.ParseFile(path); err == nil {
				f.Add(a.Files[0].Data)
			}
		}
	}
	dir := f.TempDir()
	file := filepath.Join(dir, "site.hcl")
	f.Fuzz(func(t *testing.T, data []byte) {
		// An input that takes forever is to be kept, too.
		watchdog := time.AfterFunc(20*time.Second, func() { panic("Load hangs") })
		defer watchdog.Stop()
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		p, diags := Load(file, testOptions(dir))
		for _, d := range diags {
			if d.Summary == "" || d.Detail == "" {
				t.Errorf("a diagnostic without words: %+v", d)
			}
		}
		if diags.HasErrors() {
			return
		}
		for _, play := range p.Plays {
			for _, h := range play.Hosts {
				var b strings.Builder
				show(t, &b, dir, p.Scope(play, h, &fakeResults{Planning: true}), play.Steps, "")
			}
		}
	})
}
