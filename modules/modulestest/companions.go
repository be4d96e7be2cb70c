package modulestest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster/host"
	"muster/internal/remote"
	"muster/internal/wire"
	"muster/modules"
)

// companionSection reports whether a section is about a companion.
func companionSection(name string) bool {
	return strings.HasPrefix(name, "companion ") || strings.HasPrefix(name, "stream ")
}

// companions are those of a task, with what they tell: while planning, or when it is
// made. A host that the task names has to have a section, and a companion's arguments are
// held against its kind where Run was given that.
func (c *conformance) companions(t testing.TB, kind string, args map[string]any, made bool) map[string][]byte {
	t.Helper()
	m, errs := c.kinds.Decode(kind, args)
	a, ok := m.(modules.Accompanied)
	if !ok || len(errs) > 0 {
		return nil
	}
	var told map[string][]byte
	for _, companion := range a.Companions() {
		section := "companion " + companion.Host
		if !c.has(section) {
			t.Fatalf("the task needs the companion %s on %q: there is no section %q", companion.Kind, companion.Host, section)
		}
		if c.kinds.Kind(companion.Kind) != nil {
			if _, errs := c.kinds.Decode(companion.Kind, travelled(t, companion.Args)); len(errs) > 0 {
				t.Fatalf("the companion %s on %s: %v", companion.Kind, companion.Host, errs)
			}
		}
		if told == nil {
			told = map[string][]byte{}
		}
		text, open := strings.CutPrefix(c.text(section), "open\n")
		if open && !made {
			text = ""
		}
		told[companion.Host] = []byte(strings.TrimSpace(text))
	}
	return told
}

// travelled are a companion's arguments as its host gets them.
func travelled(t testing.TB, args map[string]any) map[string]any {
	t.Helper()
	var stream bytes.Buffer
	conn := wire.NewConn(&stream, &stream)
	err := conn.Send(&wire.Message{Task: &wire.Task{ID: "companion", Args: args}})
	if err != nil {
		t.Fatalf("a companion's arguments: %v", err)
	}
	m, err := conn.Receive()
	if err != nil {
		t.Fatalf("a companion's arguments: %v", err)
	}
	return m.Task.Args
}

// companionsMade is what the companions of a task tell when it is made.
func (c *conformance) companionsMade(id string) map[string][]byte {
	for _, ct := range c.tasks(silent{}) {
		if ct.id == id {
			return c.companions(silent{}, ct.kind, c.task(silent{}, ct).Args, true)
		}
	}
	return nil
}

// silent is a test that reads what has been read without a fault.
type silent struct{ testing.TB }

// Helper does nothing: lines aren't told.
func (silent) Helper() {}

// Fatal is a fault of the harness.
func (silent) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// Fatalf is a fault of the harness.
func (silent) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// receive has the script of a section send.
func (c *conformance) receive(ctx context.Context, _, name string, request json.RawMessage) (io.ReadCloser, error) {
	section := "stream " + name
	if !c.has(section) {
		return nil, fmt.Errorf("there is no section %q", section)
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, "sh", "-euc", c.text(section))
	cmd.Stdin = bytes.NewReader(request)
	cmd.Dir = c.root
	cmd.Env = append(os.Environ(), "ROOT="+c.root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	said := &bytes.Buffer{}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("section %q: %w", section, err)
	}
	return &script{cmd: cmd, out: out, said: said, cancel: cancel, name: name}, nil
}

// script is a stream of a script's.
type script struct {
	cmd    *exec.Cmd
	out    io.Reader
	said   *bytes.Buffer
	name   string
	cancel func()
	end    error // nil while it goes on
}

// Read ends with io.EOF where the script has succeeded.
func (s *script) Read(p []byte) (int, error) {
	if s.end != nil {
		return 0, s.end
	}
	n, err := s.out.Read(p)
	if err != nil {
		if s.end = io.EOF; s.cmd.Wait() != nil {
			s.end = fmt.Errorf("%s: %s", s.name, strings.TrimSpace(s.said.String()))
		}
		err = s.end
	}
	return n, err
}

// Close ends the script.
func (s *script) Close() error {
	s.cancel()
	if s.end == nil {
		s.end = os.ErrClosed
		_ = s.cmd.Wait()
	}
	return nil
}

// sends runs the case of a companion.
func (c *conformance) sends(t testing.TB) {
	tasks := c.tasks(t)
	if len(tasks) != 1 {
		t.Fatal("a companion's case has one task")
	}
	wt := c.task(t, tasks[0])
	before := c.snapshot(t, true)
	c.asked = map[host.Key]bool{}
	var p wire.Planned
	c.holdPlanning(t, c.watch(func() { p = c.session().Consult(context.Background(), wt) }), nil)
	if again := c.session().Consult(context.Background(), wt); encoded(t, again) != encoded(t, p) {
		t.Errorf("planned twice on one host, it tells\n%s\nand then\n%s", encoded(t, p), encoded(t, again))
	}
	if want := strings.TrimSpace(c.text("error")); c.has("error") {
		if !strings.Contains(p.Error, want) {
			t.Errorf("the plan's error is %q, want %q", p.Error, want)
		}
		return
	}
	if p.Status != wire.Unchanged {
		t.Fatalf("the plan fails: %s %s", p.Status, p.Error)
	}
	if c.has("output") && !sameJSON(t, p.Output, []byte(c.text("output"))) {
		t.Errorf("it tells\n%s\nwant\n%s", p.Output, c.text("output"))
	}
	var sent bytes.Buffer
	err := c.send(t, wt, &sent)
	switch want := strings.TrimSpace(c.text("refusal")); {
	case c.has("refusal") && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("sending ends with the error %v, want %q", err, want)
	case !c.has("refusal") && err != nil:
		t.Errorf("sending fails: %v", err)
	}
	if c.has("sends") && sent.String() != c.text("sends") {
		t.Errorf("it sends\n%q\nwant\n%q", sent.String(), c.text("sends"))
	}
	if c.has("received") {
		cmd := exec.Command("sh", "-euc", c.text("received"))
		cmd.Stdin, cmd.Dir, cmd.Env = &sent, c.root, append(os.Environ(), "ROOT="+c.root)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("received: %v\n%s", err, out)
		}
	}
	if !c.has("refusal") {
		if err := c.send(t, wt, &gone{}); err == nil && sent.Len() > 0 {
			t.Error("where the receiver is gone, sending ends without an error")
		}
	}
	if after := c.snapshot(t, true); after != before {
		t.Errorf("sending has touched the host:\nbefore\n%s\nafter\n%s", before, after)
	}
}

// patience is how long a companion may take to end when its receiver is gone.
const patience = 10 * time.Second

// send has a companion send, and fails where it goes on though its receiver is gone.
func (c *conformance) send(t testing.TB, wt wire.Task, w io.Writer) error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	if g, ok := w.(*gone); ok {
		g.left = make(chan struct{}, 1)
		go func() {
			select {
			case <-g.left:
			case <-ctx.Done():
			}
			cancel()
		}()
	}
	go func() {
		ended <- remote.SendOnce(ctx, c.kinds, host.New(), wt, json.RawMessage(strings.TrimSpace(c.text("request"))), w)
	}()
	select {
	case err := <-ended:
		return err
	case <-time.After(time.Minute):
	}
	cancel()
	select {
	case err := <-ended:
		return errors.Join(errors.New("it takes longer than a minute"), err)
	case <-time.After(patience):
		t.Fatalf("it goes on sending though its receiver is gone for %s", patience)
		return nil
	}
}

// gone is a receiver that goes away at once.
type gone struct{ left chan struct{} }

// Write fails, and says so.
func (g *gone) Write([]byte) (int, error) {
	select {
	case g.left <- struct{}{}:
	default:
	}
	return 0, syscall.EPIPE
}

func sameJSON(t testing.TB, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		t.Errorf("output: %v\n%s", err, a)
		return true
	}
	return encoded(t, x) == encoded(t, y)
}
