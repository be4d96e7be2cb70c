package launch_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"muster/internal/launch"
	"muster/transport/transporttest"
)

// A login whose command is forced runs what is in place there, and no word of what it is sent.
func TestARemoteThatIsInPlace(t *testing.T) {
	ours := newBinaries("1", 0)
	for _, c := range []struct {
		name, sum string
		want      error
	}{
		{"this muster's", ours.Sum, nil},
		{"another muster's", newBinaries("2", 0).Sum, launch.ErrOther},
	} {
		t.Run(c.name, func(t *testing.T) {
			forced := filepath.Join(t.TempDir(), "forced")
			script := fmt.Sprintf("#!/bin/sh\necho 'a banner'\nprintf '\\nmuster-in-place %s\\n'\nexec cat\n", c.sum)
			if err := os.WriteFile(forced, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			r, err := launch.Start(t.Context(), dialHost(t, transporttest.Options{Shell: forced}), launch.Options{Binaries: ours, Become: "root"})
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err != nil {
				return
			}
			defer r.Close()
			if !r.InPlace || r.Sum != ours.Sum || r.Uploaded {
				t.Errorf("it is %+v", r)
			}
			_, _ = io.WriteString(r.Stdin, "ping\n")
			r.Stdin.Close()
			if said, err := io.ReadAll(r.Stdout); string(said) != "ping\n" || err != nil {
				t.Errorf("it is sent %q, %v", said, err)
			}
		})
	}
}
