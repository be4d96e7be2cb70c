package notify_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/internal/drift"
	"muster/internal/notify"
)

func place(host, path string) drift.Place {
	return drift.Place{Playbook: "site.hcl", Host: host, Play: "p", Path: path}
}

// look is what a check found on a host: tasks by path, "a", or "a*3" for one that is back
// for the third time.
func look(host string, found ...string) drift.Look {
	l := drift.Look{Playbook: "site.hcl", Host: host}
	for _, text := range found {
		path, n, _ := strings.Cut(text, "*")
		item := drift.Item{Place: place(host, path), Name: "task.file." + path, File: "site.hcl", Line: 4, State: drift.Still}
		if n != "" {
			_, _ = fmt.Sscan(n, &item.Returned)
			item.State, item.Contested, item.PutRight = drift.New, item.Returned >= drift.ContestedAfter, drift.Run{ID: "r1", By: "ann@laptop"}
		}
		l.Items = append(l.Items, item)
	}
	return l
}

func away(host string) drift.Look {
	return drift.Look{Playbook: "site.hcl", Host: host, Error: "no route"}
}

func failed(host string, settled ...string) drift.Look {
	l := drift.Look{Playbook: "site.hcl", Host: host, Partial: true, Settled: map[drift.Place]bool{}}
	for _, path := range settled {
		l.Settled[place(host, path)] = true
	}
	return l
}

func check(looks ...drift.Look) *drift.Check {
	c := &drift.Check{Playbooks: []string{"site.hcl"}, Looks: looks, Items: []drift.Item{}}
	for _, l := range looks {
		c.Items = append(c.Items, l.Items...)
	}
	return c
}

func shown(changes []notify.Change) string {
	var list []string
	for _, c := range changes {
		list = append(list, strings.Join(strings.Fields(fmt.Sprint(c.Event, " ", c.Host, " ", c.Task, " ", c.Error)), " "))
	}
	return strings.Join(list, "; ")
}

// Each case is a row of checks; "!" before one is a check whose message isn't delivered,
// and the text behind "=" what a receiver is sent.
func TestReceiversAreToldWhatTheyDoNotKnow(t *testing.T) {
	limited := check(look("web2"))
	limited.Limit = []string{"web2"}
	unkept := check(look("web1", "a"))
	unkept.Items = nil
	type step struct {
		check  *drift.Check
		failed string
		lost   bool
		want   string
	}
	for name, steps := range map[string][]step{
		"nothing drifts":                            {{check: check(look("web1"))}},
		"drift is told once":                        {{check: check(look("web1", "a")), want: "new web1 file.a"}, {check: check(look("web1", "a"))}},
		"what has gone is told once":                {{check: check(look("web1", "a")), want: "new web1 file.a"}, {check: check(look("web1")), want: "gone web1 file.a"}, {check: check(look("web1"))}},
		"what wasn't delivered is owed":             {{check: check(look("web1", "a")), lost: true, want: "new web1 file.a"}, {check: check(look("web1", "a")), want: "new web1 file.a"}, {check: check(look("web1", "a"))}},
		"what has settled before it was told isn't": {{check: check(look("web1", "a")), lost: true, want: "new web1 file.a"}, {check: check(look("web1"))}},
		"drift that is back":                        {{check: check(look("web1", "a")), want: "new web1 file.a"}, {check: check(look("web1", "a*1")), want: "back web1 file.a"}, {check: check(look("web1", "a*1"))}},
		"drift that is contested":                   {{check: check(look("web1", "a*2")), want: "back web1 file.a"}, {check: check(look("web1", "a*3")), want: "contested web1 file.a"}, {check: check(look("web1", "a*3"))}},
		"a host that is away keeps its drift":       {{check: check(look("web1", "a")), want: "new web1 file.a"}, {check: check(away("web1")), want: "unchecked web1 no route"}, {check: check(away("web1"))}, {check: check(look("web1", "a")), want: "checked web1"}, {check: check(look("web1")), want: "gone web1 file.a"}},
		"a task that fails": {{check: check(look("web1", "a", "b")), want: "new web1 file.a; new web1 file.b"}, {check: check(failed("web1", "b")), want: "partly web1 a task failed; gone web1 file.b"},
			{check: check(failed("web1", "b"))}, {check: check(look("web1")), want: "gone web1 file.a; checked web1"}},
		"hosts outside of the limit stay as they are": {{check: check(look("web1", "a"), look("web2")), want: "new web1 file.a"}, {check: limited}, {check: check(look("web1"), look("web2")), want: "gone web1 file.a"}},
		"a host that has left the inventory":          {{check: check(look("web1", "a"), look("web2")), want: "new web1 file.a"}, {check: check(look("web2"))}, {check: check(look("web1", "a"), look("web2")), want: "new web1 file.a"}},
		"a check that can't be made":                  {{check: &drift.Check{}, failed: "broken", want: "failed broken"}, {check: &drift.Check{}, failed: "broken"}, {check: check(look("web1")), want: "works"}},
		"what is known stays where none can be made":  {{check: check(look("web1", "a")), want: "new web1 file.a"}, {check: &drift.Check{}, failed: "broken", want: "failed broken"}, {check: check(look("web1", "a")), want: "works"}},
		"a journal that is broken loses nothing":      {{check: unkept, failed: "disk full", want: "failed disk full; new web1 file.a"}, {check: check(look("web1", "a")), want: "works"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for i, s := range steps {
				ledger, err := notify.OpenLedger(dir) // through the disk, as between two nights
				if err != nil {
					t.Fatal(err)
				}
				changes, next := ledger.Told("notify.webhook.ops", "hosts.hcl").Since(s.check, s.failed)
				if got := shown(changes); got != s.want {
					t.Errorf("check %d: %q, want %q", i, got, s.want)
				}
				if !s.lost {
					ledger.Keep("notify.webhook.ops", "hosts.hcl", next)
				}
				if err := ledger.Save(); err != nil {
					t.Fatal(err)
				}
				if err := ledger.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestAReceiverThatIsNewIsToldAllThatStands(t *testing.T) {
	ledger, err := notify.OpenLedger(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	c := check(look("web1", "a"))
	_, next := ledger.Told("old", "i").Since(c, "")
	ledger.Keep("old", "i", next)
	for to, want := range map[string]string{"old": "", "new": "new web1 file.a"} {
		changes, _ := ledger.Told(to, "i").Since(c, "")
		if got := shown(changes); got != want {
			t.Errorf("%s: %q", to, got)
		}
	}
	if changes, _ := ledger.Told("old", "another").Since(c, ""); shown(changes) != "new web1 file.a" {
		t.Error("another inventory has what was told of this one")
	}
	ledger.Only(map[string]bool{"new": true})
	if len(ledger.Told("old", "i").Drift) != 0 {
		t.Error("a receiver that is gone is remembered")
	}
}

func TestALedgerThatIsBrokenIsSaidAndBegunAnew(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notified.json"), []byte(`{"x":`), 0o600); err != nil {
		t.Fatal(err)
	}
	ledger, err := notify.OpenLedger(dir)
	if ledger == nil || err == nil || !strings.Contains(err.Error(), "all that stands is told again") {
		t.Fatal(err)
	}
	if err := ledger.Save(); err != nil {
		t.Fatal(err)
	}
	if err := ledger.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := notify.OpenLedger(dir); err != nil {
		t.Error(err)
	}
	if _, err := notify.OpenLedger(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that isn't there has a ledger")
	}
}

func TestTheSameChangesHaveTheSameID(t *testing.T) {
	changes, _ := notify.Told{}.Since(check(look("web1", "a")), "")
	others, _ := notify.Told{}.Since(check(look("web1", "b")), "")
	id := notify.NewMessage("x", changes, 1).ID
	if notify.NewMessage("x", changes, 1).ID != id || notify.NewMessage("y", changes, 1).ID == id || notify.NewMessage("x", others, 1).ID == id {
		t.Error("a receiver can't tell what it has from what it hasn't")
	}
}
