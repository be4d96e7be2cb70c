package docker

import (
	"context"
	"os"
	"strings"
	"testing"

	"muster/host"
)

// fakeDockerd answers as a program of some version does, and refuses a file that holds a
// word.
type fakeDockerd struct {
	version, refuses string
	checked          int
}

func (f *fakeDockerd) Run(_ context.Context, c host.Command) (host.Output, error) {
	if c.Argv[1] == "--version" {
		return host.Output{Stdout: []byte("Docker version " + f.version + ", build 0123456\n")}, nil
	}
	f.checked++
	data, err := os.ReadFile(c.Argv[3])
	if err != nil || strings.Contains(string(data), f.refuses) {
		return host.Output{ExitCode: 1, Stderr: []byte("unable to configure the Docker daemon with file " + c.Argv[3] + ": " + f.refuses + " isn't right\n")}, err
	}
	return host.Output{}, nil
}

// From version 23 on dockerd looks at the file itself, while planning.
func TestDockerdChecksItsFileWhereItCan(t *testing.T) {
	for version, checks := range map[string]bool{"20.10.24+dfsg1": false, "22.06.0-beta.0": false, "23.0.0": true, "29.7.2": true} {
		for _, search := range []string{"example.com", "a..b"} {
			fake := &fakeDockerd{version: version, refuses: "a..b"}
			h := host.New()
			h.Runner = fake
			e := &Engine{Settings: map[string]any{"dns-search": []any{search}}}
			err := e.accepted(t.Context(), host.NewView(h, nil), e.settings(nil), &unitStart{program: "/usr/bin/dockerd"}, &engine{})
			refused := err != nil && strings.Contains(err.Error(), "with file /etc/docker/daemon.json: a..b isn't right")
			if (fake.checked == 1) != checks || refused != (checks && search == "a..b") || err != nil && !refused {
				t.Errorf("version %s, %s: asked %d times: %v", version, search, fake.checked, err)
			}
		}
	}
}
