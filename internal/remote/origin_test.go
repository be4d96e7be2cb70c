package remote

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestWhoHasLoggedInIsFoundAboveSudo(t *testing.T) {
	proc := t.TempDir()
	process := func(pid, parent int, name, environ string) {
		dir := filepath.Join(proc, fmt.Sprint(pid))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{"stat": fmt.Sprintf("%d (%s) S %d 1 1", pid, name, parent), "environ": environ} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	process(40, 30, "muster-remote", "HOME=/root\x00")
	process(30, 20, "su) R 7 do", "HOME=/home/ops\x00SSH_CONNECTION=203.0.113.2 5000 203.0.113.10 22\x00")
	process(20, 1, "sshd", "")
	process(50, 20, "muster-remote", "")
	process(60, 20, "muster-remote", "SSH_CONNECTION=::ffff:192.0.2.7 1 ::1 22\x00")
	process(70, 20, "muster-remote", "SSH_CONNECTION=UNKNOWN 65535 UNKNOWN 65535\x00")
	for pid, want := range map[int]string{40: "203.0.113.2", 50: "invalid IP", 60: "192.0.2.7", 70: "invalid IP", 99: "invalid IP"} {
		if got := originOf(proc, pid).String(); got != want {
			t.Errorf("of %d: %s, want %s", pid, got, want)
		}
	}
}
