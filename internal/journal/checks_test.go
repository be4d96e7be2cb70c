package journal_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"muster/host"
	"muster/internal/drift"
	"muster/internal/journal"
	"muster/internal/wire"
)

// checking makes checks one after the other, as "muster drift" does.
type checking struct {
	t  *testing.T
	j  *journal.Journal
	at time.Time
}

// check looks at hosts: text is the diff of task a on each, "" for none, "away" for a
// host that can't be reached. It returns what is told of them.
func (k *checking) check(found map[string]string) string {
	k.t.Helper()
	began, err := k.j.Position()
	if err != nil {
		k.t.Fatal(err)
	}
	c := &drift.Check{Playbooks: []string{"site.hcl"}, Inventory: "inventory", Began: k.at, Ended: k.at, Outcome: "pending", By: "ann@laptop"}
	for _, name := range []string{"web1", "web2"} {
		text, asked := found[name]
		l := drift.Look{Playbook: "site.hcl", Host: name}
		switch {
		case !asked:
			continue
		case text == "away":
			l.Error = "connection refused"
		case text != "":
			l.Items = []drift.Item{{
				Place: drift.Place{Playbook: "site.hcl", Host: name, Play: "web", Path: drift.PathOf(fileTask("a").ID)}, Name: "task.file.a", Label: "a", Kind: "file",
				File: "site.hcl", Line: 3, Certainty: wire.Known, Changes: []host.Description{{Action: host.Update, Target: "/a", Diff: text}},
			}}
		}
		c.Looks = append(c.Looks, l)
	}
	last, err := k.j.LastDrift(c, began)
	if err != nil {
		k.t.Fatal(err)
	}
	c.Compare(last)
	if err := k.j.KeepCheck(c, began); err != nil {
		k.t.Fatal(err)
	}
	got := ""
	for _, i := range c.Items {
		if i.Label != "a" || i.Line != 3 || len(i.Changes) != 1 || i.Changes[0].Target != "/a" {
			k.t.Errorf("%+v", i)
		}
		got += fmt.Sprintf("%s %s %d %s", i.Host, i.State, i.Returned, i.Since.UTC().Format("2 15:04"))
		if i.Altered {
			got += " altered"
		}
		if i.PutRight.ID != "" {
			got += " by " + i.PutRight.By
		}
		got += "\n"
	}
	return got
}

// makes is a run that changes task a of the host.
func (k *checking) makes(host, by string) {
	k.t.Helper()
	r := begin(k.t, k.j, journal.RunInfo{Playbook: "site.hcl", By: by}, host)
	g := fileTask("a")
	g.ID = "7" + g.ID[1:] // its play has moved since
	grant(k.t, r, host, g)
	r.Done(host, g.ID, &wire.Done{Status: wire.Changed})
	if err := r.End("changed"); err != nil {
		k.t.Fatal(err)
	}
}

func TestChecksRememberWhatTheyFound(t *testing.T) {
	k := &checking{t, open(t, filepath.Join(t.TempDir(), "j"), journal.Options{}), time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)}
	type found = map[string]string
	for i, step := range []struct {
		before func()
		found  found
		want   string
	}{
		{nil, found{"web1": "+x", "web2": ""}, "web1 new 0 4 03:00\n"},
		{nil, found{"web1": "+x", "web2": "+y"}, "web2 new 0 4 02:00\nweb1 still 0 4 03:00\n"}, // the clock was set back
		{nil, found{"web1": "+z"}, "web1 still 0 4 03:00 altered\n"},
		{nil, found{"web1": "away", "web2": "away"}, "web1 unchecked 0 4 03:00\nweb2 unchecked 0 4 02:00\n"},
		{nil, found{"web1": "+z", "web2": ""}, "web1 still 0 4 03:00\nweb2 gone 0 4 02:00\n"},
		{func() { k.makes("web1", "bob@desk") }, found{"web1": "+z", "web2": ""}, "web1 new 1 3 22:00 by bob@desk\n"},
		{func() { k.makes("web2", "bob@desk") }, found{"web1": "+z", "web2": ""}, "web1 still 1 3 22:00\n"},
		{func() { k.makes("web1", "ann@laptop") }, found{"web1": ""}, "web1 gone 1 3 22:00 by ann@laptop\n"},
		{nil, found{"web1": ""}, ""},
		{nil, found{"web1": "+x"}, "web1 new 2 3 18:00 by ann@laptop\n"},
		{nil, found{"web1": ""}, "web1 gone 2 3 18:00\n"},
		{nil, found{"web1": ""}, ""},
		{nil, found{"web1": ""}, ""},
		{nil, found{"web1": "+x"}, "web1 new 0 3 14:00\n"},
	} {
		if step.before != nil {
			step.before()
		}
		if got := k.check(step.found); got != step.want {
			t.Errorf("check %d:\n%swant\n%s", i, got, step.want)
		}
		k.at = k.at.Add(-time.Hour)
	}
	if list, err := k.j.Runs(0); err != nil || len(list) != 3 {
		t.Error("checks are among the runs:", list, err)
	}
}

func TestAnIdleJournalOfChecksIsReadAsOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	k := &checking{t, open(t, path, journal.Options{}), time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)}
	k.check(map[string]string{"web1": "+x"})
	reader := open(t, path, journal.Options{ReadOnly: true})
	c := &drift.Check{Playbooks: []string{"site.hcl"}, Inventory: "inventory"}
	if last, err := reader.LastDrift(c, 0); err != nil || len(last) != 1 || c.Last == "" {
		t.Error(last, c.Last, err)
	}
	other := &drift.Check{Playbooks: []string{"site.hcl"}, Inventory: "staging"}
	if last, err := reader.LastDrift(other, 0); err != nil || len(last) != 0 || other.Last != "" {
		t.Error("another inventory has its checks:", last, other.Last, err)
	}
}

// What the last checks found is told by host and by task, of so many checks as are asked for.
func TestPastOfDriftIsTold(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "j"), journal.Options{})
	k := &checking{t: t, j: j, at: time.Date(2026, 5, 1, 3, 0, 0, 0, time.UTC)}
	c := &drift.Check{Playbooks: []string{"site.hcl"}, Inventory: "inventory"}
	if p, err := j.PastDrift(c, 3); err != nil || len(p.Checks) > 0 {
		t.Fatalf("before the first check: %+v, %v", p, err)
	}
	for _, found := range []map[string]string{
		{"web1": "x", "web2": "x"},
		{"web1": "x", "web2": "x"},
		{"web1": "x", "web2": "away"},
		{"web1": ""},
	} {
		k.check(found)
		k.at = k.at.Add(24 * time.Hour)
	}
	p, err := j.PastDrift(c, 3)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, at := range p.Checks {
		got += at.Format("2 ")
	}
	for _, r := range append(p.Hosts, p.Tasks...) {
		got += "\n" + r.Name
		for _, f := range r.Found {
			switch {
			case f.Unchecked:
				got += " ?"
			case f.Looked:
				got += fmt.Sprintf(" %d", f.N)
			default:
				got += " -"
			}
		}
	}
	if want := "2 3 4 \nweb1 1 1 0\nweb2 1 ? -\ntask.file.a 2 1 0"; got != want {
		t.Errorf("told is\n%s\nwant\n%s", got, want)
	}
	other := &drift.Check{Playbooks: []string{"other.hcl"}, Inventory: "inventory"}
	if p, err := j.PastDrift(other, 3); err != nil || len(p.Checks) > 0 {
		t.Errorf("of another playbook: %+v, %v", p, err)
	}
}
