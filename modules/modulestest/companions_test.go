package modulestest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"muster/host"
	"muster/modules"
)

// copied is a file that another host has.
type copied struct {
	Path string `arg:"path,key,path,required"`
	From string `arg:"from,required"`
}

func (c *copied) Companions() []modules.Companion {
	return []modules.Companion{{Host: c.From, Arg: "from", Kind: "copied_from", Args: map[string]any{"path": "/their/file"}}}
}

func (c *copied) May() []host.Effect {
	return []host.Effect{host.Open(host.Files, c.Path), host.Begins(host.Files, c.Path+".")}
}

func (c *copied) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var said struct {
		Sum  string `json:"sum"`
		Size int64  `json:"size"`
	}
	if err := v.Companion(c.From, &said); err != nil {
		return modules.Plan{}, err
	}
	changes, err := v.Rewrite(ctx, c.Path, func(old string) (string, error) {
		if host.ContentOf([]byte(old), false).Sum == said.Sum {
			return old, nil
		}
		return strings.Repeat("?", int(said.Size)), nil
	})
	for i, ch := range changes {
		changes[i] = &receiveFile{WriteFile: *ch.(*host.WriteFile), From: c.From, Sum: said.Sum}
	}
	return modules.Plan{Changes: changes}, err
}

type receiveFile struct {
	host.WriteFile
	From, Sum string
}

func (c *receiveFile) Type() string { return "receive_file" }

func (c *receiveFile) Describe() host.Description {
	d := c.WriteFile.Describe()
	d.Diff = ""
	return d
}

func (c *receiveFile) Effects() []host.Effect { return []host.Effect{host.Open(host.Files, c.Path)} }

func (c *receiveFile) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	r, err := h.Receive(ctx, c.From, map[string]string{"what": "all"})
	if err != nil {
		return host.Result{}, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return host.Result{}, fmt.Errorf("receiving %s: %w", c.Path, err)
	}
	w := c.WriteFile
	w.Content = h.Bodies.Keep(data, false)
	return w.Apply(ctx, h)
}

// copiedFrom sends a file.
type copiedFrom struct {
	Path string `arg:"path,key,path,required"`
}

func (c *copiedFrom) May() []host.Effect { return []host.Effect{} }

func (c *copiedFrom) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	data, err := v.ReadFile(ctx, c.Path, 1<<20)
	if err != nil {
		return modules.Plan{}, err
	}
	out, err := host.Marshal(map[string]any{"sum": host.ContentOf(data, false).Sum, "size": len(data)})
	return modules.Plan{Output: out}, err
}

func (c *copiedFrom) Send(ctx context.Context, h *host.Host, request json.RawMessage, w io.Writer) error {
	var asked struct {
		What string `json:"what"`
	}
	if err := host.Unmarshal(request, &asked); err != nil || asked.What != "all" {
		return errors.New("it sends all, and nothing else")
	}
	data, err := host.NewView(h, nil).ReadFile(ctx, c.Path, 1<<20)
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}

// A kind that receives, and one that sends, are tested on one machine.
func TestCompanions(t *testing.T) {
	Run(t, modules.Kind{Name: "copied", New: func() modules.Module { return &copied{} }},
		modules.Kind{Name: "copied_from", Companion: true, New: func() modules.Module { return &copiedFrom{} }})
}
