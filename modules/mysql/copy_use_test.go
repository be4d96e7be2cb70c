package mysql

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster/host"
)

// unitThatFails is a server's unit of which some starts fail. It notes what is done to it, and
// what its data directory holds then.
type unitThatFails struct {
	data  string
	fails int
	done  []string
}

func (u *unitThatFails) Run(ctx context.Context, c host.Command) (host.Output, error) {
	if ctx.Err() != nil {
		return host.Output{}, ctx.Err()
	}
	if c.Argv[0] != "systemctl" {
		return host.Output{}, nil
	}
	names, _ := filepath.Glob(u.data + "/*")
	what := "nothing"
	if len(names) > 0 {
		what = filepath.Base(names[0])
	}
	u.done = append(u.done, c.Argv[1]+" with "+what)
	if c.Argv[1] == "start" && u.fails > 0 {
		u.fails--
		return host.Output{ExitCode: 1}, nil
	}
	return host.Output{}, nil
}

// lay makes files, and directories where a name ends with a slash.
func lay(t *testing.T, names ...string) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, n := range names {
		path := filepath.Join(root, n)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(n, "/") {
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// A server is never left stopped by a copy that it didn't start with, and is started with a
// whole directory each time.
func TestAServerRunsAgainWhereItsCopyIsOfNoUse(t *testing.T) {
	if !host.IsRoot() {
		t.Skip("it removes the note of a copy: needs root")
	}
	for name, c := range map[string]struct {
		fails int
		want  []string
		says  string
	}{
		"it starts with the copy": {0, []string{"stop with mine", "reset-failed with " + copyMark, "start with " + copyMark}, ""},
		"it doesn't":              {1, []string{"stop with mine", "reset-failed with " + copyMark, "start with " + copyMark, "stop with " + copyMark, "reset-failed with mine", "start with mine"}, "the server has its own data back"},
	} {
		t.Run(name, func(t *testing.T) {
			root := lay(t, "data/mine", "data.muster-ready/"+copyMark)
			unit := &unitThatFails{data: root + "/data", fails: c.fails}
			h := host.New()
			h.Runner = unit
			h.Dialer = func(context.Context, string, string) (net.Conn, error) { return nil, os.ErrNotExist }
			use := &UseCopy{Copy: copyNote{Donor: "db1", Method: byBackup, DataDir: root + "/data", Unit: "mariadb.service"}}
			_, err := use.Apply(t.Context(), h)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
			if !slices.Equal(unit.done, c.want) {
				t.Errorf("it was told %q, want %q", unit.done, c.want)
			}
			left, _ := filepath.Glob(root + "/data.*")
			if want := map[bool]int{true: 0, false: 1}[c.fails > 0]; len(left) != want {
				t.Errorf("left are %q", left)
			}
		})
	}
}

// What ends a task doesn't leave its server stopped.
func TestAServerIsStartedWhereItsTaskIsOver(t *testing.T) {
	root := lay(t, "data/mine", "data.muster-ready/"+copyMark)
	unit := &unitThatFails{data: root + "/data"}
	h := host.New()
	h.Runner = unit
	h.Dialer = func(context.Context, string, string) (net.Conn, error) { return nil, os.ErrNotExist }
	ctx, cancel := context.WithCancel(t.Context())
	h.Step = func(where string) error {
		if where == "stopped the server" {
			cancel()
		}
		return nil
	}
	use := &UseCopy{Copy: copyNote{Donor: "db1", Method: byBackup, DataDir: root + "/data", Unit: "mariadb.service"}}
	_, _ = use.Apply(ctx, h)
	if last := unit.done[len(unit.done)-1]; !strings.HasPrefix(last, "start with") {
		t.Errorf("in the end: %s", last)
	}
}

// Between two renames there is no data directory: the server's own one comes back.
func TestADirectoryThatWasOnItsWayBackIsPutThere(t *testing.T) {
	for name, c := range map[string]struct {
		there []string
		want  string
	}{
		"on its way":          {[]string{"data.muster-old/mine", "data.muster-copy/" + copyMark}, "mine"},
		"the copy isn't":      {[]string{"data.muster-old/" + copyMark}, ""},
		"it is there already": {[]string{"data/mine", "data.muster-old/theirs"}, "mine"},
		"nothing is":          {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := lay(t, c.there...)
			places, err := openPlaces(&copyNote{DataDir: root + "/data"})
			if err != nil {
				t.Fatal(err)
			}
			defer places.parent.Close()
			if err := places.ownBack(); err != nil {
				t.Error(err)
			}
			_, err = os.Stat(root + "/data/mine")
			if (c.want == "") != errors.Is(err, os.ErrNotExist) {
				t.Errorf("%v", err)
			}
		})
	}
}
