package remote

import (
	"testing"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
	"muster/modules/all"
)

// TestTaskThatIsKnownAfterApplyShowsWhatIsKnown: a value, a line, and nothing that may be secret.
func TestTaskThatIsKnownAfterApplyShowsWhatIsKnown(t *testing.T) {
	for name, c := range map[string]struct {
		task wire.Task
		want string
	}{
		"a sysctl's value":     {wire.Task{Kind: "sysctl", Args: wire.Args{"name": "net.ipv4.ip_forward", "value": int64(1), "persist": modules.UnknownValue{}}}, "value = 1"},
		"a command's line":     {wire.Task{Kind: "command", Args: wire.Args{"argv": []any{"app", "migrate", modules.UnknownValue{}}, "creates": "/x"}}, "argv = app migrate (known after apply)\ncreates = /x"},
		"a script's beginning": {wire.Task{Kind: "command", Args: wire.Args{"shell": "one\ntwo"}}, "shell = one …"},
		"content and maps":     {wire.Task{Kind: "file", Args: wire.Args{"path": "/x", "content": host.ContentOf([]byte("x"), false), "mode": "0600"}}, "mode = 0600"},
		"a password":           {wire.Task{Kind: "user", Args: wire.Args{"name": "a", "password": "hush", "shell": "/bin/sh"}}, "shell = /bin/sh"},
		"a sensitive task":     {wire.Task{Kind: "command", Sensitive: true, Args: wire.Args{"argv": []any{"app", "hush"}}}, ""},
	} {
		s := NewSession(all.Registry(), host.New(), []byte("key"))
		if got := s.known(&task{Task: c.task}); got != c.want {
			t.Errorf("%s: shows %q, not %q", name, got, c.want)
		}
	}
}
