package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"muster/tests/program"
)

// The kind in docs/writing-a-kind.md compiles, and its case passes: the page is all
// that somebody has who writes the next.
func TestKindOfThePageForNewcomersWorks(t *testing.T) {
	page, err := os.ReadFile("../../docs/writing-a-kind.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```(go|txtar)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 3 {
		t.Fatalf("the page has %d blocks, want a kind, its test and a case", len(blocks))
	}
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	own := strings.Replace(string(mod), "module muster\n", "module newcomer\n", 1) + "\nrequire muster v0.0.0\n\nreplace muster => " + repo + "\n"
	inOwn := func(text string) string {
		return strings.ReplaceAll(text, `"muster/modules/environment"`, `"newcomer/environment"`)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": own, "go.sum": string(sum),
		"environment/environment.go":      inOwn(blocks[0][2]),
		"environment/environment_test.go": inOwn(blocks[1][2]),
		"environment/testdata/set.txtar":  blocks[2][2],
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	program.Sources(t, "muster/modules", "muster/modules/modulestest")
	cmd := exec.Command("go", "test", "-mod=mod", "-v", "./environment")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestConformance/set") {
		t.Errorf("%v\n%s", err, out)
	}
}
