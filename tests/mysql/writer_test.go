package mysql

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"muster/tests/await"
	"muster/tests/program"
)

// writer is what writes to the primary.
type writer struct{ t *testing.T }

// written is what came of it.
type written struct {
	count, failed int
	longest       time.Duration // between two acknowledged rows
	acknowledged  string        // their numbers, a line each
}

// startWriter has something write to the primary, until it is stopped.
func startWriter(t *testing.T) *writer {
	t.Helper()
	file, err := os.Open(program.Build(t, "muster/tests/mysql/writer"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := theLab.Host("db1").Command(t.Context(), "sh", "-c", "mkdir -p /root/writes && cat >/root/writes/part && chmod +x /root/writes/part && mv /root/writes/part /root/writes/writer")
	cmd.Stdin = file
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	on(t, "db1", "systemd-run -q --unit writer --collect -p StandardOutput=file:/root/writes/result -p StandardError=file:/root/writes/error /root/writes/writer /run/mysqld/mysqld.sock /root/writes/acknowledged")
	await.Until(t, "rows are acknowledged", func() bool { return on(t, "db1", "test -s /root/writes/acknowledged && echo yes || true") == "yes" })
	w := &writer{t}
	return w
}

// end ends it if it still writes.
func (w *writer) end() {
	_, _ = theLab.Host("db1").Exec(context.Background(), "systemctl", "stop", "writer")
}

// stop ends it, and returns what came of it.
func (w *writer) stop() written {
	w.t.Helper()
	on(w.t, "db1", "systemctl stop writer")
	var r written
	var ms int64
	text := on(w.t, "db1", "cat /root/writes/result")
	if _, err := fmt.Sscan(text, &r.count, &ms, &r.failed); err != nil {
		w.t.Fatalf("the writer: %q %s: %v", text, on(w.t, "db1", "cat /root/writes/error"), err)
	}
	r.longest = time.Duration(ms) * time.Millisecond
	r.acknowledged = on(w.t, "db1", "cat /root/writes/acknowledged")
	return r
}
