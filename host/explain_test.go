package host_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"muster/host"
)

func TestRefusedCallsAreExplained(t *testing.T) {
	long := "/srv/" + strings.Repeat("n", 256)
	call := func(op, path string, err error) error {
		return fmt.Errorf("reading it: %w", &fs.PathError{Op: op, Path: path, Err: err})
	}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"a long name":       {call("open", long, unix.ENAMETOOLONG), "reading it: the name nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn… has 256 bytes, and the system takes 255: choose a shorter one"},
		"a circle":          {call("lstat", "/srv/l/x", unix.ELOOP), "reading it: the links on the way to /srv/l/x lead in a circle: look where each leads (namei -l /srv/l/x)"},
		"another":           {call("open", "/x", unix.EIO), "reading it: open /x: input/output error"},
		"no call of a path": {errors.New("it is wrong"), "it is wrong"},
		"an obstacle":       {&host.Obstacle{Path: "/x", Text: "it is shut", Err: unix.ENAMETOOLONG}, "it is shut"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := host.Explain(test.err, test.err.Error()); got != test.want {
				t.Errorf("it is told as %q", got)
			}
		})
	}
	if got := host.Explain(call("open", long, unix.ENAMETOOLONG), "what may be shown"); got != "what may be shown" {
		t.Errorf("what isn't to be shown is told as %q", got)
	}
}
