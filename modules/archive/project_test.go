package archive

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"muster/host"
	"muster/internal/remote"
	"muster/internal/wire"
	"muster/modules"
)

func TestAnArchiveOfTheProjectIsSentOnlyWhereItIsUnpacked(t *testing.T) {
	one, two := packed(t, "zst", tarOf(t, regular("one"))), zipOf(t, "two")
	asked := 0
	h := host.New()
	h.Bodies.Ask = func(_ context.Context, sum string) (io.ReadCloser, error) {
		asked++
		for _, data := range [][]byte{one, two} {
			if host.ContentOf(data, false).Sum == sum {
				return io.NopCloser(bytes.NewReader(data)), nil
			}
		}
		t.Fatalf("asked for %s", sum)
		return nil, nil
	}
	path := filepath.Join(t.TempDir(), "app")
	do := func(data []byte) wire.Status {
		t.Helper()
		content := host.ContentOf(data, false)
		content.Data = nil
		s := remote.NewSession(modules.NewRegistry(Kinds()...), h, nil)
		p, _ := s.Plan(t.Context(), wire.Task{ID: "0/task.archive.t", Kind: "archive", Args: map[string]any{"path": path, "source": content}})
		if p.Status != wire.Pending {
			return p.Status
		}
		d := s.Apply(context.Background(), p.ID)
		if d.Error != "" {
			t.Fatal(d.Error)
		}
		return d.Status
	}
	for n, step := range []struct {
		data  []byte
		want  wire.Status
		asked int
		holds string
	}{{one, wire.Changed, 1, "one"}, {one, wire.Unchanged, 1, "one"}, {two, wire.Changed, 2, "two"}, {two, wire.Unchanged, 2, "two"}} {
		if got := do(step.data); got != step.want || asked != step.asked {
			t.Errorf("step %d: %s, sent %d times: want %s and %d", n, got, asked, step.want, step.asked)
		}
		names, err := os.ReadDir(path)
		if err != nil || len(names) != 2 || names[1].Name() != step.holds {
			t.Errorf("step %d: it holds %v, %v", n, names, err)
		}
	}
}
