package host

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestWhatAProgramPrintsIsHandedOnAsItComes(t *testing.T) {
	var into bytes.Buffer
	out, err := System{}.Run(context.Background(), Command{Argv: []string{"sh", "-c", "head -c 3000000 /dev/zero; echo said >&2; exit 3"}, Stdout: &into})
	must(t, err)
	if into.Len() != 3_000_000 || len(out.Stdout) != 0 || out.ExitCode != 3 || strings.TrimSpace(string(out.Stderr)) != "said" {
		t.Errorf("handed on %d bytes, kept %d, exit code %d, said %q", into.Len(), len(out.Stdout), out.ExitCode, out.Stderr)
	}
}

// refusing takes some bytes, and no more.
type refusing struct{ left int }

var errRefused = errors.New("refused")

func (r *refusing) Write(p []byte) (int, error) {
	if r.left -= len(p); r.left < 0 {
		return 0, errRefused
	}
	return len(p), nil
}

// Neither the program nor its children would notice: they print no more.
func TestAProgramWhoseOutputIsRefusedIsKilledWithItsChildren(t *testing.T) {
	begun := time.Now()
	_, err := System{}.Run(context.Background(), Command{Argv: []string{"sh", "-c", "trap '' PIPE; echo one; sleep 100 & sleep 100"}, Stdout: &refusing{}})
	if !errors.Is(err, errRefused) {
		t.Errorf("it ended with %v", err)
	}
	if since := time.Since(begun); since > 50*time.Second {
		t.Errorf("it was waited for, %s", since)
	}
}
