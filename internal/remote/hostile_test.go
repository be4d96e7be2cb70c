package remote

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/wire"
)

// played is a worker that a test plays.
type played struct {
	*io.PipeReader
	in *io.PipeWriter
}

func (p played) Write(b []byte) (int, error) { return p.in.Write(b) }

func (p played) Close() error {
	p.in.Close()
	return p.PipeReader.Close()
}

// playing returns a Spawn whose worker play plays, and a channel that is closed when
// it has ended.
func playing(play func(c *wire.Conn)) (func(context.Context, string) (io.ReadWriteCloser, error), chan struct{}) {
	ended := make(chan struct{})
	return func(context.Context, string) (io.ReadWriteCloser, error) {
		toWorker, in := io.Pipe()
		out, fromWorker := io.Pipe()
		go func() {
			defer close(ended)
			defer fromWorker.Close()
			c := wire.NewConn(toWorker, fromWorker)
			_ = c.Send(&wire.Message{Hello: &wire.Hello{Protocol: wire.Protocol}})
			play(c)
			_, _ = io.Copy(io.Discard, toWorker)
		}()
		return played{out, in}, nil
	}, ended
}

// heard receives messages up to the next task or grant, and returns it.
func heard(c *wire.Conn) (all []*wire.Message) {
	for {
		m, err := c.Receive()
		if err != nil {
			return all
		}
		if all = append(all, m); m.Task != nil || m.Grant != nil {
			return all
		}
	}
}

const ofRoot = "what root's task writes is nobody's business\n"

func TestWorkerIsSentContentOfItsOwnTasksAlone(t *testing.T) {
	own := "what nobody's own task writes\n"
	got := map[string]string{}
	spawn, ended := playing(func(c *wire.Conn) {
		last := heard(c)
		id := last[len(last)-1].Task.ID
		for i, text := range []string{ofRoot, own} {
			_ = c.Send(&wire.Message{Need: &wire.Need{Stream: uint64(i), Sum: host.ContentOf([]byte(text), false).Sum}})
			for {
				m, err := c.Receive()
				if err != nil {
					return
				}
				if m.Chunk != nil {
					if got[text] += string(m.Chunk.Data); m.Chunk.Last {
						break
					}
				}
			}
		}
		_ = c.Send(&wire.Message{Lay: &wire.Lay{}})
		_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: id, Status: wire.Unchanged, Certainty: wire.Known}})
	})
	c := serving(t, spawn)
	dir := folder(t, other)
	root := c.plan(doing("file", "root", "", map[string]any{"path": filepath.Join(dir, "root"), "content": c.content(ofRoot), "mode": "0600"}))
	theirs := c.plan(doing("file", "own", other, map[string]any{"path": filepath.Join(dir, "own"), "content": c.content(own)}))
	if root.Status != wire.Pending || theirs.Status != wire.Unchanged {
		t.Fatalf("they are planned as %+v, %+v", root, theirs)
	}
	c.Conn.Flush()
	if got[ofRoot] != "" || got[own] != own {
		t.Errorf("the worker got %q", got)
	}
	select {
	case <-ended:
		t.Error("the worker was ended")
	default:
	}
}

func TestWhatAWorkerIsToldHoldsNothingOfRoots(t *testing.T) {
	var told []*wire.Message
	spawn, _ := playing(func(c *wire.Conn) {
		told = heard(c)
		_ = c.Send(&wire.Message{Lay: &wire.Lay{}})
		_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: told[len(told)-1].Task.ID, Status: wire.Unchanged, Certainty: wire.Known}})
		told = append(told, heard(c)...)
		_ = c.Send(&wire.Message{Lay: &wire.Lay{}})
		_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: told[len(told)-1].Task.ID, Status: wire.Unchanged, Certainty: wire.Known}})
	})
	c := serving(t, spawn)
	dir := folder(t, other)
	public := "what everybody may read\n"
	mine := doing("file", "own", other, map[string]any{"path": filepath.Join(dir, "own"), "content": "x"})
	for i, text := range []string{ofRoot, ofRoot + "more"} { // before the worker starts, and after
		c.plan(doing("file", "root", "", map[string]any{"path": filepath.Join(dir, "root"), "content": c.content(text), "mode": "0640", "group": "root"}))
		c.plan(doing("file", "public", "", map[string]any{"path": filepath.Join(dir, "public"), "content": c.content(public + text[:i])}))
		c.plan(doing("hostname", "h", "", map[string]any{"name": "of-roots-task"}))
		c.plan(mine)
	}
	var all strings.Builder
	for _, m := range told {
		if m.Open != nil {
			all.Write(m.Open.Key)
		}
		if m.Lay == nil {
			continue
		}
		for _, e := range m.Lay.Effects {
			all.WriteString(e.Key.String() + " " + string(e.Value) + "\n")
		}
	}
	for _, text := range []string{ofRoot, ofRoot + "more"} {
		if sum := host.ContentOf([]byte(text), false).Sum; strings.Contains(all.String(), sum) {
			t.Errorf("it is told the sum of root's content:\n%s", &all)
		}
	}
	if strings.Contains(all.String(), "of-roots-task") {
		t.Errorf("it is told a value that may be root's alone:\n%s", &all)
	}
	if sum := host.ContentOf([]byte(public), false).Sum; !strings.Contains(all.String(), sum) {
		t.Errorf("it isn't told what its user may read:\n%s", &all)
	}
}

func TestWorkerThatSaysWhatItsUserCouldNotMakeTrueIsEnded(t *testing.T) {
	dir := folder(t, other)
	own := filepath.Join(dir, "own")
	file := host.FileInfo{Type: host.Regular, Mode: 0o644, Owner: other, Group: other}
	of := func(info host.FileInfo, owner string) host.FileInfo { info.Owner = owner; return info }
	plan := func(effects ...host.Effect) func(*wire.Conn, string) {
		return func(c *wire.Conn, id string) {
			_ = c.Send(&wire.Message{Lay: &wire.Lay{Effects: effects}})
			_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: id, Status: wire.Pending, Certainty: wire.Known}})
		}
	}
	for name, test := range map[string]struct {
		as   string // the kind of its task
		path string
		says func(c *wire.Conn, id string)
		fine bool
	}{
		"a file of theirs":                      {path: own, says: plan(host.Is(host.File(own), file)), fine: true},
		"nothing":                               {path: own, says: plan(), fine: true},
		"a file of root's":                      {path: "/etc/shadow", says: plan(host.Is(host.File("/etc/shadow"), file))},
		"that a file of root's goes":            {path: "/etc/shadow", says: plan(host.Gone(host.File("/etc/shadow")))},
		"a file that its task isn't about":      {path: own, says: plan(host.Is(host.File("/etc/sudoers.d/x"), file))},
		"that another file is left open":        {path: own, says: plan(host.Open(host.Files, "/etc/sudoers"))},
		"that anything is":                      {path: own, says: plan(host.Open(host.All, host.All))},
		"a way around":                          {path: dir, says: plan(host.Is(host.File(dir+"/../../../etc/shadow"), file))},
		"a file given to root":                  {path: own, says: plan(host.Is(host.File(own), of(file, "root")))},
		"an account":                            {as: "command", path: own, says: plan(host.Is(host.Key{Space: host.Users, Name: other}, host.User{Name: other, UID: 0}))},
		"a group":                               {as: "command", path: own, says: plan(host.Is(host.Key{Space: host.Groups, Name: "sudo"}, host.Group{Name: "sudo", Members: []string{other}}))},
		"that a program may do anything":        {as: "command", path: own, says: plan(host.Open(host.All, host.All)), fine: true},
		"that a program makes a file of root's": {as: "command", path: own, says: plan(host.Is(host.File("/etc/shadow"), file))},
		"a state that there isn't":              {path: own, says: plan(host.Effect{Key: host.File(own), State: "odd"})},
		"a value that is none":                  {path: own, says: plan(host.Effect{Key: host.File(own), State: host.Present, Value: []byte("[")})},
		"an answer for root's task":             {path: own, says: func(c *wire.Conn, _ string) { plan()(c, "0/task.file.root") }},
		"a plan of no status": {path: own, says: func(c *wire.Conn, id string) {
			_ = c.Send(&wire.Message{Lay: &wire.Lay{}})
			_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: id}})
		}},
		"that a task is done that isn't granted": {path: own, says: func(c *wire.Conn, id string) {
			_ = c.Send(&wire.Message{Done: &wire.Done{ID: id, Status: wire.Changed}})
		}},
		"facts":   {path: own, says: func(c *wire.Conn, _ string) { _ = c.Send(&wire.Message{Facts: &wire.Facts{}}) }},
		"a fault": {path: own, says: func(c *wire.Conn, _ string) { _ = c.Send(&wire.Message{Fault: &wire.Fault{Error: "out of memory"}}) }},
	} {
		t.Run(name, func(t *testing.T) {
			spawn, ended := playing(func(c *wire.Conn) {
				for {
					all := heard(c)
					if len(all) == 0 || all[len(all)-1].Task == nil {
						return
					}
					test.says(c, all[len(all)-1].Task.ID)
				}
			})
			c := serving(t, spawn)
			c.plan(doing("file", "root", "", map[string]any{"path": filepath.Join(dir, "root"), "content": "x"}))
			theirs := doing("file", "own", other, map[string]any{"path": test.path, "content": "x"})
			if test.as != "" {
				theirs = doing(test.as, "own", other, map[string]any{"argv": []any{"true"}})
			}
			p := c.plan(theirs)
			if fine := p.Status != wire.Failed; fine != test.fine {
				t.Errorf("its task is planned as %+v", p)
			}
			if !test.fine {
				<-ended
				theirs.ID += "2"
				if again := c.plan(theirs); again.Status != wire.Failed || again.Error != p.Error {
					t.Errorf("another of its tasks is planned as %+v", again)
				}
			}
			if root := c.plan(doing("file", "more", "", map[string]any{"path": "/etc/muster-test", "content": "x"})); root.Status != wire.Pending {
				t.Errorf("root's task is planned as %+v", root)
			}
		})
	}
}

func TestWorkerAnswersForTheTaskThatItIsToMakeAlone(t *testing.T) {
	dir := folder(t, other)
	for name, says := range map[string]*wire.Message{
		"done for another":     {Done: &wire.Done{ID: "0/task.file.root", Status: wire.Changed}},
		"progress of another":  {Progress: &wire.Progress{ID: "0/task.file.root", Text: "x"}},
		"what undoes another":  {Undo: &wire.Undo{ID: "0/task.file.root"}},
		"done without status":  {Done: &wire.Done{ID: "0/task.file.own"}},
		"a plan once more":     {Planned: &wire.Planned{ID: "0/task.file.own", Status: wire.Unchanged, Certainty: wire.Known}},
		"a review of anything": {Reviewed: &wire.Reviewed{}},
	} {
		t.Run(name, func(t *testing.T) {
			spawn, ended := playing(func(c *wire.Conn) {
				heard(c)
				_ = c.Send(&wire.Message{Lay: &wire.Lay{}})
				_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: "0/task.file.own", Status: wire.Pending, Certainty: wire.Known}})
				heard(c)
				_ = c.Send(says)
			})
			c := serving(t, spawn)
			c.plan(doing("file", "own", other, map[string]any{"path": filepath.Join(dir, "own"), "content": "x"}))
			if d := c.make("0/task.file.own"); d.Status != wire.Failed || !strings.Contains(d.Error, "it wasn't asked") {
				t.Errorf("it is made as %+v", d)
			}
			<-ended
			if root := c.plan(doing("print", "p", "", map[string]any{"message": "x"})); root.Status == wire.Failed {
				t.Errorf("root's task is planned as %+v", root)
			}
		})
	}
}

func TestContentThatAWorkerClaimsIsNotReadByRoot(t *testing.T) {
	dir := folder(t, other)
	own := filepath.Join(dir, "own")
	stolen := host.ContentOf([]byte(ofRoot), false)
	spawn, _ := playing(func(c *wire.Conn) {
		heard(c)
		_ = c.Send(&wire.Message{Lay: &wire.Lay{Effects: []host.Effect{host.Is(host.File(own), host.FileInfo{Type: host.Regular, Mode: 0o644, Owner: other, Sum: stolen.Sum, Size: stolen.Size})}}})
		_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: "0/task.file.own", Status: wire.Pending, Certainty: wire.Known}})
	})
	c := serving(t, spawn)
	c.plan(doing("file", "root", "", map[string]any{"path": filepath.Join(dir, "root"), "content": c.content(ofRoot), "mode": "0600"}))
	c.needed = nil
	c.plan(doing("file", "own", other, map[string]any{"path": own, "content": "x"}))
	p := c.plan(doing("line", "l", "", map[string]any{"path": own, "line": "root's"}))
	if p.Status != wire.Pending || p.Certainty != wire.Deferred || len(c.needed) > 0 {
		t.Errorf("it is planned as %+v, and %q were read", p, c.needed)
	}
}

func TestWhatAWorkerHasLeftIsHeldAgainstNoTaskThatItIsNotAbout(t *testing.T) {
	dir := folder(t, other)
	shared, roots, own := filepath.Join(dir, "shared"), filepath.Join(dir, "root"), filepath.Join(dir, "own")
	spawn, _ := playing(func(c *wire.Conn) {
		heard(c)
		_ = c.Send(&wire.Message{Lay: &wire.Lay{Effects: []host.Effect{host.Is(host.File(own), host.FileInfo{Type: host.Regular, Owner: other})}}})
		_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: "0/task.file.own", Status: wire.Pending, Certainty: wire.Known}})
		for {
			m, err := c.Receive()
			if err != nil {
				return
			}
			if m.Review != nil {
				break
			}
		}
		_ = c.Send(&wire.Message{Reviewed: &wire.Reviewed{Left: []wire.Left{
			{ID: "0/task.file.own", Error: "x", Keys: []host.Key{host.File(roots), host.File(own)}},
			{ID: "0/task.file.roots", Error: "x", Keys: []host.Key{host.File(shared)}},
		}}})
	})
	c := serving(t, spawn)
	c.plan(doing("file", "own", other, map[string]any{"path": own, "content": "x"}))
	c.plan(doing("file", "shared", "", map[string]any{"path": shared, "content": "x"}))
	c.plan(doing("file", "roots", "", map[string]any{"path": roots, "content": "x"}))
	m := c.answer(&wire.Message{Review: &wire.Review{Made: true, IDs: []string{"0/task.file.own"}}})
	if m.Reviewed == nil || len(m.Reviewed.Conflicts) != 1 || m.Reviewed.Conflicts[0].ID != "0/task.file.own" || strings.Contains(m.Reviewed.Conflicts[0].Text, "two tasks") {
		t.Errorf("reviewed: %+v", m.Reviewed)
	}
}
