package remote

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
)

// told is a kind of which planning runs what the task names.
type told struct {
	Run string `arg:"run,key,required"`
	ran *[]string
}

func (m *told) Plan(context.Context, *host.View) (modules.Plan, error) {
	*m.ran = append(*m.ran, m.Run)
	return modules.Plan{}, nil
}

// asked is a remote within the test.
type asked struct {
	t     *testing.T
	conn  *wire.Conn
	in    io.Closer
	ended chan error
	ran   []string // what planning ran
	hears []string // the keys that the kind was told of before
}

func ask(t *testing.T, o Options) *asked {
	t.Helper()
	toRemote, in := io.Pipe()
	out, fromRemote := io.Pipe()
	s := &asked{t: t, conn: wire.NewConn(out, in), in: in, ended: make(chan error, 1)}
	o.Kinds = modules.NewRegistry(modules.Kind{Name: "told",
		Expect: func(_ *host.View, keys []string) { s.hears = append(s.hears, keys...) },
		New:    func() modules.Module { return &told{ran: &s.ran} }})
	o.Facts = func(context.Context) []byte { return []byte("{}") }
	o.Lock, o.Records = filepath.Join(t.TempDir(), "lock"), t.TempDir()
	go func() {
		defer fromRemote.Close()
		s.ended <- Serve(context.Background(), toRemote, fromRemote, o)
	}()
	if m, err := s.conn.Receive(); err != nil || m.Hello == nil {
		t.Fatal(m, err)
	}
	return s
}

// ask sends a message and returns the answer, nil where the remote ended.
func (s *asked) ask(m *wire.Message) *wire.Message {
	s.t.Helper()
	if err := s.conn.Send(m); err != nil {
		s.t.Fatal(err)
	}
	answer, err := s.conn.Receive()
	if err != nil {
		return nil
	}
	return answer
}

func (s *asked) close() error {
	s.in.Close()
	return <-s.ended
}

func toldTo(run string) *wire.Message {
	return &wire.Message{Task: &wire.Task{ID: "0/task.told.x", Kind: "told", As: "root", Args: map[string]any{"run": run}}}
}

func TestLoginThatOnlyPlansRefusesAllElse(t *testing.T) {
	dir := t.TempDir()
	readOnly := &wire.Message{Open: &wire.Open{ReadOnly: true}}
	late, shown := toldTo("a"), toldTo("a")
	late.Task.Late, shown.Task.Shown = true, &wire.Planned{}
	for name, m := range map[string]*wire.Message{
		"a session that makes changes": {Open: &wire.Open{}},
		"one that takes a host up":     {Open: &wire.Open{ReadOnly: true, Run: "0123456789", Take: 1}},
		"a grant":                      {Grant: &wire.Grant{IDs: []string{"0/task.told.x"}, Epoch: 1}},
		"a late task":                  late,
		"a task held to another plan":  shown,
		"effects of the controller's":  {Lay: &wire.Lay{Effects: []host.Effect{host.Open(host.All, host.All)}}},
		"a task of another session":    {Hold: &wire.Hold{}},
		"what a companion tells":       {Accompany: &wire.Accompany{}},
		"a stream to another host":     {Send: &wire.Send{}},
		"the end of a run":             {Ack: &wire.Ack{}},
		"a review of what was made":    {Review: &wire.Review{Made: true}},
		"a rotation to be renewed":     {Renew: &wire.Renew{Secret: "mysql/app", By: "ann"}},
		"a message of its own":         {Hello: &wire.Hello{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := ask(t, Options{OnlyPlans: true, Agreed: dir, Renew: func(string, string) (string, error) {
				t.Error("a rotation is renewed")
				return "", nil
			}})
			if m.Open == nil {
				if err := s.conn.Send(readOnly); err != nil {
					t.Fatal(err)
				}
			}
			answer := s.ask(m)
			if answer == nil || answer.Fault == nil || !strings.Contains(answer.Fault.Error, "this login only plans") {
				t.Errorf("it answers %+v", answer)
			}
			if err := s.close(); err == nil {
				t.Error("it goes on")
			}
			if len(s.ran) > 0 {
				t.Errorf("it ran %q", s.ran)
			}
		})
	}
}

func TestLoginThatOnlyPlansIsHeldToWhatOthersHadPlanned(t *testing.T) {
	dir := t.TempDir()
	plans := func(t *testing.T, o Options, m *wire.Message) *asked {
		t.Helper()
		o.Agreed = dir
		s := ask(t, o)
		if err := s.conn.Send(&wire.Message{Open: &wire.Open{ReadOnly: true}}); err != nil {
			t.Fatal(err)
		}
		answer := s.ask(m)
		if answer == nil || answer.Planned == nil {
			t.Fatalf("it answers %+v", answer)
		}
		if known := answer.Planned.Status == wire.Unchanged; known != (len(s.ran) > 0) {
			t.Errorf("it answers %+v, and ran %q", answer.Planned, s.ran)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
		return s
	}
	night := Options{OnlyPlans: true}
	if s := plans(t, night, toldTo("one")); len(s.ran) > 0 {
		t.Fatal("a task that nobody has had planned is planned")
	}
	if s := plans(t, Options{}, toldTo("one")); len(s.ran) == 0 {
		t.Fatal("who may change the host can't have a task planned")
	}
	for range 2 {
		if s := plans(t, night, toldTo("one")); len(s.ran) == 0 {
			t.Error("the task that was planned before isn't")
		}
	}
	as, hidden, withheld := toldTo("one"), toldTo("one"), toldTo("one")
	as.Task.As, hidden.Task.Secrets, withheld.Task.Others = "nobody", []string{"x"}, []wire.Args{{"run": "two"}}
	for name, m := range map[string]*wire.Message{"other arguments": toldTo("two"), "another user": as, "other secrets": hidden, "arguments besides": withheld} {
		if s := plans(t, night, m); len(s.ran) > 0 {
			t.Errorf("with %s it is planned", name)
		}
	}
	once := toldTo("one")
	once.Task.ID, once.Task.Tolerate, once.Task.Retry = "7/task.told.other", true, &wire.Retry{Attempts: 2}
	if s := plans(t, night, once); len(s.ran) == 0 {
		t.Error("its place in the playbook counts")
	}
	both := ask(t, Options{OnlyPlans: true, Agreed: dir})
	for _, m := range []*wire.Message{toldTo("evil"), toldTo("one")} {
		if err := both.conn.Queue(m); err != nil {
			t.Fatal(err)
		}
	}
	_ = both.conn.Flush()
	for range 2 {
		if _, err := both.conn.Receive(); err != nil {
			t.Fatal(err)
		}
	}
	if err := both.close(); err != nil || len(both.ran) != 1 || slices.Contains(both.hears, "evil") {
		t.Errorf("%v; it ran %q, and its kind hears of %q", err, both.ran, both.hears)
	}
	if s := plans(t, night, &wire.Message{Task: &wire.Task{ID: "0/task.x.x", Kind: "x"}}); len(s.ran) > 0 {
		t.Error("a kind that there isn't is planned")
	}
}

func TestTasksAreNotedOnlyWhereSomebodyOnlyPlans(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "night")
	s := ask(t, Options{Agreed: dir})
	if a := s.ask(toldTo("one")); a == nil || a.Planned == nil || a.Planned.Status != wire.Unchanged {
		t.Errorf("it answers %+v", a)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder was made")
	}
}

func TestDigestsOfTasksThatNobodyPlansAreForgotten(t *testing.T) {
	dir := t.TempDir()
	a, err := openAgreed(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	old, kept := toldTo("old").Task, toldTo("kept").Task
	now := a.now()
	a.now = func() time.Time { return now.AddDate(0, 0, -agreedDays-1) }
	a.add(old)
	a.now = func() time.Time { return now.AddDate(0, 0, -agreedDays+1) }
	a.add(kept)
	a.flush()
	if _, err := a.f.WriteString("half a li"); err != nil {
		t.Fatal(err)
	}
	for i := range 2 { // also where somebody has written behind what was cut
		if a, err = openAgreed(dir, true); err != nil || a.has(old) || !a.has(kept) || i > 0 && !a.has(toldTo("more").Task) {
			t.Errorf("%v; the old one is known: %v, the other: %v", err, a.has(old), a.has(kept))
		}
		if a, err = openAgreed(dir, false); err != nil {
			t.Fatal(err)
		}
		a.add(toldTo("more").Task)
		a.add(toldTo("again").Task)
		a.flush()
	}
}

func TestLoginThatOnlyPlansAsksWhoAlteredThings(t *testing.T) {
	s := ask(t, Options{OnlyPlans: true, Agreed: t.TempDir()})
	if err := s.conn.Send(&wire.Message{Open: &wire.Open{ReadOnly: true}}); err != nil {
		t.Fatal(err)
	}
	if m := s.ask(&wire.Message{Trace: &wire.Trace{IDs: []string{"0/task.told.x"}}}); m == nil || m.Traced == nil {
		t.Errorf("it answers %+v", m)
	}
}

// TestAgreedTaskHasItsEnvironment: programs that planning runs could be made to do anything by one
// that isn't the one which was agreed to.
func TestAgreedTaskHasItsEnvironment(t *testing.T) {
	a := &agreed{key: make([]byte, 32), seen: map[string]int{}, now: time.Now}
	task := toldTo("x").Task
	task.Environment = []string{"A=x"}
	a.add(task)
	if !a.has(task) {
		t.Error("the task itself isn't known")
	}
	for _, other := range [][]string{nil, {"LD_PRELOAD=/tmp/x.so"}, {"A=x", "B=y"}} {
		changed := *task
		changed.Environment = other
		if a.has(&changed) {
			t.Errorf("it is known with %q", other)
		}
	}
}
