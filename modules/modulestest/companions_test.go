package modulestest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"muster/host"
	"muster/modules"
	"muster/modules/modulestest/watch"
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

// lyingSender is a companion that lies in one way.
type lyingSender struct {
	copiedFrom

	plans func(path string) any
	sends func(path string, w io.Writer) error
}

func (l *lyingSender) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	p, err := l.copiedFrom.Plan(ctx, v)
	if err == nil && l.plans != nil {
		p.Output, err = host.Marshal(l.plans(l.Path))
	}
	return p, err
}

func (l *lyingSender) Send(ctx context.Context, h *host.Host, request json.RawMessage, w io.Writer) error {
	if l.sends != nil {
		return l.sends(l.Path, w)
	}
	return l.copiedFrom.Send(ctx, h, request, w)
}

// lyingSenders are such companions, with what the harness says of each.
func lyingSenders() map[string]struct {
	says string
	new  *lyingSender
} {
	type lie = struct {
		says string
		new  *lyingSender
	}
	return map[string]lie{
		"honest":   {"", &lyingSender{}},
		"wavering": {"planned twice on one host", &lyingSender{plans: func(string) any { return time.Now().UnixNano() }}},
		"planning": {"planning has altered", &lyingSender{plans: func(path string) any { return os.WriteFile(path+".planned", nil, 0o600) }}},
		"sending": {"sending has touched the host", &lyingSender{sends: func(path string, w io.Writer) error {
			_, err := io.WriteString(w, "from db1\n")
			return errors.Join(err, os.WriteFile(path+".sent", nil, 0o600))
		}}},
		"other": {"it sends", &lyingSender{sends: func(_ string, w io.Writer) error {
			_, err := io.WriteString(w, "something else")
			return err
		}}},
		"deaf": {"where the receiver is gone, sending ends without an error", &lyingSender{sends: func(_ string, w io.Writer) error {
			_, _ = io.WriteString(w, "from db1\n")
			return nil
		}}},
	}
}

func TestEveryLieOfACompanionIsCaught(t *testing.T) {
	find := func(name string) *conformance {
		l := lyingSenders()[name].new
		kinds := []modules.Kind{{Name: "lying", Companion: true, New: func() modules.Module { return &lyingSender{plans: l.plans, sends: l.sends} }}}
		text := "-- task --\nlying { path = \"$ROOT/file\" }\n-- before/file --\nfrom db1\n-- request --\n{\"what\": \"all\"}\n-- sends --\nfrom db1\n"
		return &conformance{testCase: caseOf(t, name, txtar.Parse([]byte(text))), kinds: modules.NewRegistry(kinds...)}
	}
	if watch.Watched() {
		serve(t, find)
	}
	p := &processes{t: t, find: find}
	defer p.end()
	for name, l := range lyingSenders() {
		t.Run(name, func(t *testing.T) {
			v, err := p.ask(request{Case: name})
			switch {
			case err != nil:
				t.Fatal(err)
			case v.Failed != (l.says != "") || !strings.Contains(v.Text, l.says):
				t.Errorf("the harness says\n%s\nwant words with %q", v.Text, l.says)
			}
		})
	}
}
