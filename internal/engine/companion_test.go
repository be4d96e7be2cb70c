package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/stream"
	"muster/modules"
)

// copied is a file that another host has.
type copied struct {
	Path  string `arg:"path,key,path,required"`
	From  string `arg:"from,required"`
	Their string `arg:"their,required"`
	Relay bool   `arg:"relay"`
	How   string `arg:"how"`
}

func (c *copied) Companions() []modules.Companion {
	return []modules.Companion{{Host: c.From, Arg: "from", Kind: "copied_from", Args: map[string]any{"path": c.Their}, Relay: c.Relay}}
}

func (c *copied) May() []host.Effect { return []host.Effect{host.Open(host.Files, c.Path)} }

type saidOf struct {
	Sum  string `json:"sum"`
	Size int64  `json:"size"`
}

func (c *copied) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	before, err := v.Lstat(c.Path)
	if err != nil {
		return modules.Plan{}, err
	}
	var said saidOf
	if err := v.Companion(c.From, &said); err != nil {
		return modules.Plan{}, err
	}
	if before.Exists() {
		data, err := v.ReadFile(ctx, c.Path, 64<<20)
		if err != nil || host.ContentOf(data, false).Sum == said.Sum {
			return modules.Plan{}, err
		}
	}
	return modules.Plan{Changes: []host.Change{&copyFile{Path: c.Path, From: c.From, How: c.How, Sum: said.Sum}}}, nil
}

// copyFile receives it.
type copyFile struct{ Path, From, How, Sum string }

func (c *copyFile) Type() string { return "test.copy/1" }
func (c *copyFile) Describe() host.Description {
	return host.Description{Action: host.Create, Target: c.Path}
}
func (c *copyFile) Effects() []host.Effect { return []host.Effect{host.Open(host.Files, c.Path)} }
func (c *copyFile) Want() any              { return c.Path }
func (c *copyFile) Interruptible()         {}

func (c *copyFile) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	r, err := h.Receive(ctx, c.From, map[string]string{"how": c.How})
	if err != nil {
		return host.Result{}, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return host.Result{}, err
	}
	return host.Result{}, os.WriteFile(c.Path, data, 0o600)
}

// copiedFrom sends a file, in the way that is asked for.
type copiedFrom struct {
	Path string `arg:"path,key,path,required"`
}

func (c *copiedFrom) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	st, err := v.Lstat(c.Path)
	if err == nil && !st.Exists() {
		err = fmt.Errorf("there is no %s", c.Path)
	}
	if err != nil {
		return modules.Plan{}, err
	}
	data, err := v.ReadFile(ctx, c.Path, 64<<20)
	if err != nil {
		return modules.Plan{}, err
	}
	out, err := host.Marshal(saidOf{host.ContentOf(data, false).Sum, int64(len(data))})
	return modules.Plan{Output: out}, err
}

func (c *copiedFrom) Send(ctx context.Context, h *host.Host, request json.RawMessage, w io.Writer) error {
	var asked struct {
		How string `json:"how"`
	}
	if err := host.Unmarshal(request, &asked); err != nil {
		return err
	}
	data, err := os.ReadFile(c.Path)
	if err != nil {
		return err
	}
	switch asked.How {
	case "refuse":
		return errors.New("nothing is sent from here")
	case "half":
		_, _ = w.Write(data[:len(data)/2])
		return errors.New("the disk is gone")
	case "once":
		if _, err := os.Lstat(c.Path + ".ended"); err == nil {
			break
		}
		fallthrough
	case "wait":
		_, _ = w.Write(data[:1])
		if err := os.WriteFile(c.Path+".sending", nil, 0o600); err != nil {
			return err
		}
		<-ctx.Done()
		_ = os.WriteFile(c.Path+".ended", []byte(context.Cause(ctx).Error()), 0o600)
		return ctx.Err()
	case "alone":
		return alone(ctx, c.Path, data, w)
	}
	_, err = w.Write(data)
	return err
}

// alone sends, and fails where anything is made on its host meanwhile, or where it is the
// third. DIR/HOST.made is what is made there.
func alone(ctx context.Context, path string, data []byte, w io.Writer) error {
	most.Lock()
	at := sendersOf[path] + 1
	sendersOf[path] = at
	mostOf[path] = max(mostOf[path], at)
	most.Unlock()
	defer func() {
		most.Lock()
		defer most.Unlock()
		sendersOf[path]--
	}()
	made := strings.TrimSuffix(path, ".theirs") + ".made"
	before, _ := os.ReadFile(made)
	second := func() bool { // has come, where there is one to come
		most.Lock()
		defer most.Unlock()
		return mostOf[path] > 1 || !strings.HasSuffix(path, "/db.theirs")
	}
	for n := 0; n < 20 || n < 2000 && !second(); n++ {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
		if now, _ := os.ReadFile(made); len(now) != len(before) {
			return fmt.Errorf("%s was written meanwhile", made)
		}
	}
	_, err := w.Write(data)
	return err
}

// How many send a path at a time, and how many did at most.
var (
	most      sync.Mutex
	sendersOf = map[string]int{}
	mostOf    = map[string]int{}
)

// accompanied is a fleet whose hosts copy files of each other's.
func accompanied(t *testing.T, more ...modules.Kind) *fleet {
	f := newFleet(t)
	f.address = "127.0.0.1"
	f.kinds = modules.NewRegistry(slices.Concat(kindsOf(f.kinds), more, []modules.Kind{
		{Name: "copied", New: func() modules.Module { return &copied{} }},
		{Name: "copied_from", Companion: true, New: func() modules.Module { return &copiedFrom{} }},
	})...)
	return f
}

const copying = `
play "p" {
  hosts = ["all"]
  task "file" "theirs" {
    path    = "DIR/${host.name}.theirs"
    content = "of ${host.name}\n"
  }
  task "copied" "it" {
    when  = host.name == "web1"
    path  = "DIR/web1.copy"
    from  = "web2"
    their = "DIR/web2.theirs"
    ARGS
  }
}
`

func copyingWith(args string) string { return strings.Replace(copying, "ARGS", args, 1) }

func TestCompanionSendsWhatATaskBeforeItHasMade(t *testing.T) {
	for name, args := range map[string]string{"from host to host": "", "through the controller": "relay = true"} {
		t.Run(name, func(t *testing.T) {
			f := accompanied(t)
			r := f.run(copyingWith(args), "web1", "web2")
			f.bounded(r, func() {})
			if f.read(t, "web1.copy") != "of web2\n" {
				t.Errorf("it isn't copied: %v", f.errorsOf())
			}
			r.Close()
			r = f.run(copyingWith(args), "web1", "web2")
			if s := r.Plan(t.Context()); s.Pending() || len(f.errorsOf()) > 0 {
				t.Errorf("a second run would change something: %+v %v", s, f.errorsOf())
			}
		})
	}
}

func TestCompanionOutsideTheLimitIsUsed(t *testing.T) {
	f := accompanied(t)
	f.write(t, "web2.theirs", "old")
	r := f.runWith(func(o *engine.Options) { o.Limit = map[string]bool{"web1": true} }, copyingWith(""), "web1", "web2")
	s := f.bounded(r, func() {})
	if f.read(t, "web1.copy") != "old" || f.read(t, "web2.theirs") != "old" || len(s.Order) != 1 {
		t.Errorf("it isn't copied, or web2 was changed: %v %v", s.Order, f.errorsOf())
	}
}

func TestSendersErrorIsTheTasks(t *testing.T) {
	for how, says := range map[string]string{"refuse": "web2: nothing is sent from here", "half": "web2: the disk is gone"} {
		for _, relay := range []string{"", "; relay = true"} {
			f := accompanied(t)
			args := strings.ReplaceAll(fmt.Sprintf("how = %q%s", how, relay), "; ", "\n")
			f.bounded(f.run(copyingWith(args), "web1", "web2"), func() {})
			if got := f.errorsOf()["web1 it"]; !strings.Contains(got, says) || f.exists("web1.copy") {
				t.Errorf("%s %s: it says %q, want %q", how, relay, got, says)
			}
		}
	}
}

func TestCompanionIsPlannedFirst(t *testing.T) {
	for name, test := range map[string]struct {
		playbook string
		change   func(f *fleet)
		says     string
	}{
		"one that can't be planned": {strings.Replace(copyingWith(""), `"DIR/web2.theirs"`, `"DIR/no"`, 1), nil, "its companion on web2 (copied_from): there is no"},
		"one whose host is down":    {copyingWith(""), func(f *fleet) { f.down["web2"] = true }, "its companion on web2 (copied_from): the host web2"},
	} {
		t.Run(name, func(t *testing.T) {
			f := accompanied(t)
			if test.change != nil {
				test.change(f)
			}
			f.bounded(f.run(test.playbook, "web1", "web2"), func() {})
			if f.exists("web1.copy") || f.exists("web1.theirs") || !strings.Contains(f.errorsOf()["web1 it"], test.says) {
				t.Errorf("it says %q", f.errorsOf())
			}
		})
	}
}

// newLiar listens with a key of its own, and returns its port.
func newLiar(t *testing.T) int {
	t.Helper()
	mine, _, err := stream.NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	l, err := stream.Listen(t.Context(), "127.0.0.1", 0, mine)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = l.Accept(ctx)
	}()
	t.Cleanup(func() { end(); <-ended })
	return l.Port()
}
