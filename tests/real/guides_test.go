package real

import (
	"os"
	"strings"
	"testing"

	"muster/tests/docs"
)

// TestGuidesInTheLab runs what the guides under docs/ show of the lab, in the folder of the
// repository. They say bin/lab exec, which is the workstation here, too.
func TestGuidesInTheLab(t *testing.T) {
	theLab.Need(t)
	binary(t)
	const onWorkstation = "bin/lab exec -- "
	ran := 0
	for _, page := range docs.Guides() {
		text, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		steps, err := docs.Steps(string(text))
		if err != nil {
			t.Fatalf("%s: %v", page, err)
		}
		for _, s := range steps {
			if !s.Lab {
				continue
			}
			words, ok := strings.CutPrefix(s.Command, onWorkstation)
			if !ok {
				t.Fatalf("%s:%d: what is run in the lab begins with %q, not %s", page, s.Line, onWorkstation, s.Command)
			}
			cmd := theLab.Lab.Command(t.Context(), "sh", "-c", words)
			cmd.Dir = "../.."
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != s.Code {
				t.Errorf("%s:%d: %s\nends with %d (%v), not %d:\n%s", page, s.Line, s.Command, code, err, s.Code, out)
			}
			if missing := s.Missing(string(out)); missing != "" {
				t.Errorf("%s:%d: %s\ndoesn't print %q:\n%s", page, s.Line, s.Command, missing, out)
			}
			ran++
		}
	}
	if ran < 4 {
		t.Errorf("the guides have %d commands for the lab", ran)
	}
}
