package remote

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
)

// edit is a change of one key that edits nothing.
type edit struct {
	Key host.Key          `json:"key"`
	As  host.Action       `json:"as"`
	Of  *host.Description `json:"of,omitempty"`
	on  *[]host.Key
}

func (*edit) Type() string { return "edit/1" }
func (e *edit) Describe() host.Description {
	return host.Description{Action: e.As, Target: e.Key.String()}
}
func (e *edit) Effects() []host.Effect { return []host.Effect{{Key: e.Key, State: host.Unknown}} }
func (e *edit) Apply(context.Context, *host.Host) (host.Result, error) {
	*e.on = append(*e.on, e.Key)
	return host.Result{}, nil
}

// world is what the modules of a test find, and what was made of it.
type world struct {
	find edit // what "thing" finds left to do; none where its key is empty
	made []host.Key
}

// thing is a module that wants what its world says.
type thing struct {
	Name string `arg:"name,key,required"`
	w    *world
}

func (m *thing) May() []host.Effect { return []host.Effect{host.Open("thing", m.Name)} }

func (m *thing) Plan(context.Context, *host.View) (modules.Plan, error) {
	if m.w.find.Key == (host.Key{}) || len(m.w.made) > 1 {
		return modules.Plan{}, nil
	}
	c := m.w.find
	c.on = &m.w.made
	return modules.Plan{Changes: []host.Change{&c}}, nil
}

// anything is an unguarded command.
type anything struct{ w *world }

func (m *anything) Plan(context.Context, *host.View) (modules.Plan, error) {
	c := &edit{Key: host.Key{Space: host.All, Name: host.All}, As: host.Run, on: &m.w.made}
	return modules.Plan{Changes: []host.Change{c}, Always: true}, nil
}

func TestTaskMakesWhatItsPlanShowedOrStops(t *testing.T) {
	a, b := host.Key{Space: "thing", Name: "a"}, host.Key{Space: "thing", Name: "b"}
	for name, test := range map[string]struct {
		behind     bool // an unguarded command
		show, find edit
		refused    bool
	}{
		"known, and as it was shown":                     {show: edit{Key: a, As: host.Create}, find: edit{Key: a, As: host.Create}},
		"known, and another action":                      {show: edit{Key: a, As: host.Create}, find: edit{Key: a, As: host.Delete}, refused: true},
		"tentative, and another action on the same":      {behind: true, show: edit{Key: a, As: host.Create}, find: edit{Key: a, As: host.Update}},
		"tentative, and something else":                  {behind: true, show: edit{Key: a, As: host.Create}, find: edit{Key: b, As: host.Create}, refused: true},
		"tentative, with nothing shown, and its own key": {behind: true, find: edit{Key: a, As: host.Create}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{find: test.show}
			s := NewSession(modules.NewRegistry(
				modules.Kind{Name: "thing", New: func() modules.Module { return &thing{w: w} }},
				modules.Kind{Name: "anything", New: func() modules.Module { return &anything{w: w} }},
			), host.New(), nil)
			ids := []string{"0/task.anything.first", "0/task.thing.a"}
			tasks := []wire.Task{{ID: ids[0], Kind: "anything"}, {ID: ids[1], Kind: "thing", Args: map[string]any{"name": "a"}}}
			if !test.behind {
				ids, tasks = ids[1:], tasks[1:]
			}
			for _, task := range tasks {
				if p, _ := s.Plan(t.Context(), task); p.Status == wire.Failed {
					t.Fatal(p.Error)
				}
			}
			w.find = test.find
			var d wire.Done
			for _, id := range ids {
				d = s.Apply(t.Context(), id)
			}
			if refused := d.Status == wire.Failed && strings.Contains(d.Error, "which the plan didn't show"); refused != test.refused {
				t.Errorf("it ended as %+v, made %v", d, w.made)
			}
		})
	}
}

func TestTaskWhoseArgumentsBecomeKnownKeepsToThem(t *testing.T) {
	a, b := host.Key{Space: "thing", Name: "a"}, host.Key{Space: "other", Name: "b"}
	for _, test := range []struct {
		find    host.Key
		refused bool
	}{{find: a}, {find: b, refused: true}} {
		w := &world{}
		s := NewSession(modules.NewRegistry(modules.Kind{Name: "thing", New: func() modules.Module { return &thing{w: w} }}), host.New(), nil)
		task := wire.Task{ID: "0/task.thing.t", Kind: "thing", Args: map[string]any{"name": modules.UnknownValue{}}}
		if p, _ := s.Plan(t.Context(), task); p.Certainty != wire.Deferred {
			t.Fatalf("%+v", p)
		}
		task.Args = map[string]any{"name": "a"}
		s.Late(task)
		w.find = edit{Key: test.find, As: host.Create}
		d := s.Apply(t.Context(), task.ID)
		if refused := strings.Contains(d.Error, "which the plan didn't show"); refused != test.refused {
			t.Errorf("%s: it ended as %+v", test.find, d)
		}
	}
}

// A task for a user who comes only while the run is made is planned here first,
// and a worker's from then on.
func TestTaskThatAWorkerTookOverIsReviewedThere(t *testing.T) {
	w := &world{}
	s := NewSession(modules.NewRegistry(
		modules.Kind{Name: "thing", New: func() modules.Module { return &thing{w: w} }},
		modules.Kind{Name: "anything", New: func() modules.Module { return &anything{w: w} }},
	), host.New(), nil)
	s.Plan(t.Context(), wire.Task{ID: "0/task.anything.t", Kind: "anything"})
	task := wire.Task{ID: "0/task.thing.t", Kind: "thing", As: "mtcoming", Args: map[string]any{"name": "a"}}
	if _, coming := s.ComingUser(t.Context(), task); !coming {
		t.Fatal("the user isn't expected")
	}
	s.Late(wire.Task{ID: task.ID})
	s.Finish(task.ID, wire.Done{ID: task.ID, Status: wire.Changed})
	if left := s.Review(t.Context(), true, []string{task.ID}); len(left) > 0 {
		t.Errorf("%+v is left", left)
	}
}

func TestTaskIsBehindThoseThatBringWhatItIsAbout(t *testing.T) {
	a, b := host.Key{Space: "thing", Name: "a"}, host.Key{Space: "thing", Name: "b"}
	for name, test := range map[string]struct {
		second host.Key
		behind bool
	}{
		"what an earlier task brings": {second: a, behind: true},
		"something else":              {second: b},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{}
			s := NewSession(modules.NewRegistry(modules.Kind{Name: "thing", New: func() modules.Module { return &thing{w: w} }}), host.New(), nil)
			var p wire.Planned
			for i, key := range []host.Key{a, test.second} {
				w.find = edit{Key: key, As: host.Create}
				p, _ = s.Plan(t.Context(), wire.Task{ID: fmt.Sprint("0/task.thing.", i), Kind: "thing", Args: map[string]any{"name": key.Name}})
			}
			if p.Status != wire.Pending || p.Behind != test.behind {
				t.Errorf("it is planned as %+v", p)
			}
		})
	}
}

func TestWhatATaskMayAlterCoversNames(t *testing.T) {
	for _, test := range []struct {
		may  host.Effect
		key  host.Key
		want bool
	}{
		{host.Open("thing", "a"), host.Key{Space: "thing", Name: "a"}, true},
		{host.Open("thing", "a"), host.Key{Space: "thing", Name: "ab"}, false},
		{host.Open("thing", ""), host.Key{Space: "thing", Name: "a"}, true},
		{host.Open("thing", ""), host.Key{Space: "other", Name: "a"}, false},
		{host.Open(host.Files, "/data"), host.File("/data/a"), true},
		{host.Open(host.Files, "/data"), host.File("/data.copy"), false},
		{host.Begins(host.Files, "/data"), host.File("/data.copy"), true},
		{host.Begins(host.Files, "/data"), host.File("/dat"), false},
		{host.Begins(host.Files, "/data"), host.Key{Space: "thing", Name: "/data"}, false},
	} {
		if got := covers([]host.Effect{test.may}, test.key); got != test.want {
			t.Errorf("%v covers %v: %v, want %v", test.may, test.key, got, test.want)
		}
	}
}
