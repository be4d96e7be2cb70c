package journal_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/journal"
	"muster/internal/wire"
)

func motd(on string) engine.Granted {
	g := fileTask("motd", host.Description{Action: host.Update, Target: "/etc/motd"})
	g.On, g.File, g.Line = on, "../playbooks/site.hcl", 12
	return g
}

// changed is a run that made, or began, a task in every way.
func changed(t *testing.T, j *journal.Journal) {
	t.Helper()
	r := begin(t, j, journal.RunInfo{Playbook: "site.hcl", By: "ann@laptop"}, "web1", "web2")
	r.NameFiles(func(file string) string { return strings.TrimPrefix(file, "../") })
	ends := map[string]*wire.Done{
		"a": {Status: wire.Changed}, "b": {Status: wire.Unchanged}, "c": {Status: wire.Failed}, "d": {Status: wire.Failed, Undone: true},
		"e": {Status: wire.Failed, Changes: []host.Description{{Action: host.Create, Target: "/e"}}}, "f": {Status: wire.Unknown}, "g": nil, "h": {Status: wire.Skipped},
	}
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		g := fileTask(id, host.Description{Action: host.Create, Target: "/" + id})
		grant(t, r, "web1", g)
		if d := ends[id]; d != nil {
			if d.Status == wire.Changed || d.Undone {
				d.Changes = g.Changes
			}
			r.Done("web1", g.ID, d)
		}
	}
	g := motd("lb1")
	grant(t, r, "web2", g)
	r.Done("web2", g.ID, &wire.Done{Status: wire.Changed, Changes: g.Changes})
	if err := r.End("failed"); err != nil {
		t.Fatal(err)
	}
}

func told(t *testing.T, j *journal.Journal, since time.Time, name string) string {
	t.Helper()
	list, err := j.Changes(since, name)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range list {
		c := &list[i]
		got = append(got, fmt.Sprintf("%s %s%s %v by %s %s:%d", c.Host, c.Ref.Task, c.On, c.Known(), c.Info.By, c.File, c.Line))
	}
	return strings.Join(got, "\n")
}

func TestChangesNameTheirTaskAndRun(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "j"), journal.Options{})
	changed(t, j)
	web1 := "web1 a true by ann@laptop :0\nweb1 e true by ann@laptop :0\nweb1 f false by ann@laptop :0"
	lb1 := "web2 motdlb1 true by ann@laptop playbooks/site.hcl:12"
	for name, want := range map[string]string{"": web1 + "\n" + lb1, "web1": web1, "lb1": lb1, "web2": "", "x": ""} {
		if got := told(t, j, time.Time{}, name); got != want {
			t.Errorf("on %q:\n%s\nwant\n%s", name, got, want)
		}
	}
	if got := told(t, j, time.Now().Add(time.Hour), ""); got != "" {
		t.Errorf("since an hour from now:\n%s", got)
	}
}

func TestAnOlderJournalIsReadAndWrittenOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j := open(t, path, journal.Options{})
	r := begin(t, j, journal.RunInfo{Playbook: "site.hcl", By: "ann@laptop"}, "web1")
	g := fileTask("old", host.Description{Action: host.Create, Target: "/old"})
	grant(t, r, "web1", g)
	r.Done("web1", g.ID, &wire.Done{Status: wire.Changed, Changes: g.Changes})
	if err := r.End("changed"); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`DROP TABLE places`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	old := "web1 old true by ann@laptop :0"
	reader := open(t, path, journal.Options{ReadOnly: true})
	if got := told(t, reader, time.Time{}, ""); got != old {
		t.Errorf("%q, want %q", got, old)
	}
	writer := open(t, path, journal.Options{})
	r = begin(t, writer, journal.RunInfo{Playbook: "site.hcl", By: "ann@laptop"}, "web1")
	g = motd("")
	grant(t, r, "web1", g)
	r.Done("web1", g.ID, &wire.Done{Status: wire.Changed, Changes: g.Changes})
	if err := r.End("changed"); err != nil {
		t.Fatal(err)
	}
	if got, want := told(t, writer, time.Time{}, ""), old+"\nweb1 motd true by ann@laptop ../playbooks/site.hcl:12"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
