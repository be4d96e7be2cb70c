package program

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// Linked builds a command, stripped, and returns where the program is and which functions in
// it look methods up by names that only a run tells (reflect.Value.MethodByName and the
// like), each as the linker calls it: by its package's path and its own name. Where there is one, the
// linker can drop no exported method of any type in the program.
func Linked(t testing.TB, command string) (file string, byName []string) {
	t.Helper()
	Sources(t, command)
	file = filepath.Join(t.TempDir(), path.Base(command))
	var edges bytes.Buffer
	cmd := exec.Command("go", "build", "-ldflags=-s -w -dumpdep", "-o", file, command)
	cmd.Env = os.Environ()
	cmd.Stderr = &edges
	if err := cmd.Run(); err != nil {
		t.Fatalf("building %s: %v\n%s", command, err, edges.Bytes()[max(0, edges.Len()-4096):])
	}
	seen := map[string]bool{}
	n := 0
	for line := range strings.Lines(edges.String()) {
		from, to, edge := strings.Cut(strings.TrimSpace(line), " -> ")
		if !edge {
			continue
		}
		n++
		for _, symbol := range []string{from, to} {
			name, marks, _ := strings.Cut(symbol, " <")
			if name = strings.TrimSpace(name); strings.Contains(marks, "ReflectMethod>") && !seen[name] {
				seen[name] = true
				byName = append(byName, name)
			}
		}
	}
	if n < 1000 {
		t.Fatalf("the linker tells of %d dependencies: -dumpdep is something else than it was", n)
	}
	return file, byName
}
