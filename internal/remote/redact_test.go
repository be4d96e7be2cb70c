package remote

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/wire"
	"muster/modules/all"
	"muster/secret"
)

// TestWhatProgramsSayShowsNoSecret has a program say a secret that another task has brought, in each
// way, and as much around it that the host cuts it in two.
func TestWhatProgramsSayShowsNoSecret(t *testing.T) {
	const value = "hunter2&hunter2"
	half := host.DefaultOutputLimit / 2
	for name, script := range map[string]string{
		"plain":       "printf %s '" + value + "' >&2",
		"base64":      "printf 'user:%s' '" + value + "' | base64 -w 8 >&2",
		"url":         "echo '" + url.QueryEscape(value) + "' >&2",
		"json":        `echo '"hunter2\u0026hunter2"' >&2`,
		"two writes":  "printf 'hunter2&' >&2; printf hunter2 >&2",
		"two lines":   "echo 'hunter2&' >&2; echo hunter2 >&2",
		"last words":  fmt.Sprintf("printf '%%s%%s' '%s' '%s' >&2", value, strings.Repeat("x", 4096-7)),
		"left out":    fmt.Sprintf("head -c %d /dev/zero | tr '\\0' '\\n' >&2; printf '%s' >&2; head -c %d /dev/zero | tr '\\0' '\\n' >&2", half-9, value, half+100),
		"left out, 2": fmt.Sprintf("yes x | tr -d '\\n' | head -c %d >&2; printf '%s' >&2; head -c %d /dev/zero | tr '\\0' '\\n' >&2", half+100, value, half-9),
	} {
		t.Run(name, func(t *testing.T) {
			s := NewSession(all.Registry(), host.New(), []byte("key"))
			holder := wire.Task{ID: "0/task.file.x", Kind: "file", Args: map[string]any{"path": t.TempDir() + "/x", "content": host.ContentOf([]byte(value), true)}, Sensitive: true, Secrets: []string{value}}
			if p, _ := s.Plan(context.Background(), holder); p.Status != wire.Pending {
				t.Fatalf("%+v", p)
			}
			says := wire.Task{ID: "0/task.command.c", Kind: "command", Args: map[string]any{"shell": script + "; exit 3"}}
			if p, _ := s.Plan(context.Background(), says); p.Status != wire.Pending {
				t.Fatalf("%+v", p)
			}
			d := s.Apply(context.Background(), says.ID)
			_, said, _ := strings.Cut(d.Error, "exit code 3\n")
			if said == "" {
				t.Fatalf("it said nothing: %s", d.Error)
			}
			for _, part := range []string{"hunt", "ter2", base64.StdEncoding.EncodeToString([]byte("ter2&hun"))} {
				if strings.Contains(strings.ReplaceAll(said, "\n", ""), part) {
					t.Errorf("%q is shown: %.200q … %q", part, said, said[max(0, len(said)-200):])
				}
			}
			if !strings.Contains(said, secret.Hidden) {
				t.Errorf("nothing was hidden: %.300q", said)
			}
		})
	}
}
