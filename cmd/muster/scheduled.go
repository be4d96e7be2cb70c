package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"muster/internal/drift"
	"muster/internal/project"
)

// A timer's run is seen by nobody. What came of it is kept in a file beside the journal, for
// "muster schedule list", and shown besides, so that systemd's journal has it.

// scheduledRun is a run of a timer.
type scheduledRun struct {
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	Code  int       `json:"code"`
	Said  []string  `json:"said,omitempty"` // what came of it, or what went wrong
}

// keptRuns is how many runs of a schedule are kept, and saidMost how much of each.
const (
	keptRuns = 20
	saidMost = 10
)

// says notes what is to be told of a run that a timer made.
func (a *app) says(text string) {
	if a.scheduled {
		a.said = append(a.said, strings.TrimSpace(text))
	}
}

// saysOf notes what a check has found.
func (a *app) saysOf(c *drift.Check) {
	count := map[drift.State]int{}
	for _, i := range c.Items {
		count[i.State]++
	}
	a.says(fmt.Sprintf("%d new, %d still there, %d gone", count[drift.New], count[drift.Still], count[drift.Gone]))
	for _, l := range c.Looks {
		switch {
		case l.Error != "":
			a.says("not checked: " + l.Host + ": " + l.Error)
		case l.Partial:
			a.says("a task failed on " + l.Host)
		}
	}
}

// runsFile is where the runs of a schedule are kept.
func runsFile(p *project.Project, name string) string {
	return filepath.Join(filepath.Dir(p.Journal()), "schedules", name+".json")
}

// readRuns reads what is kept of a schedule's runs; the newest is the last.
func readRuns(data []byte) (list []scheduledRun, err error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	err = json.Unmarshal(data, &list)
	return list, err
}

// beginScheduled notes that a timer's run begins, and says where the clock doesn't go on from
// the run before it.
func (a *app) beginScheduled(name string) {
	if !a.scheduled {
		return
	}
	a.job, a.started = name, time.Now()
	p, _ := project.Find(".")
	data, err := os.ReadFile(runsFile(p, name))
	if err != nil {
		return
	}
	if list, err := readRuns(data); err == nil && len(list) > 0 {
		if last := list[len(list)-1].Ended; last.After(a.started) {
			a.warnOfJump(fmt.Sprintf("this machine's clock is behind: the run before this one ended at %s, which is yet to come", last.Format(time.DateTime)))
		}
	}
}

func (a *app) warnOfJump(text string) {
	a.says(text)
	a.view().Warn(text + "; checks are kept in the order in which they were made")
}

// clockJump is how far a clock may move against the time that has passed.
const clockJump = time.Minute

// jumped returns by how much a clock was set that shows that much more, while so much time
// has passed; 0: it wasn't.
func jumped(shown, passed time.Duration) time.Duration {
	if by := shown - passed; by.Abs() >= clockJump {
		return by.Round(time.Second)
	}
	return 0
}

// keepResult keeps what came of a timer's run, and returns the exit code that holds.
func (a *app) keepResult(code int) int {
	if !a.scheduled || a.started.IsZero() {
		return code
	}
	now := time.Now()
	// Without the reading of the clock that nobody sets, which Sub takes where it can.
	if by := jumped(now.Round(0).Sub(a.started.Round(0)), now.Sub(a.started)); by != 0 {
		a.warnOfJump(fmt.Sprintf("this machine's clock was set by %s while this ran", by))
	}
	run := scheduledRun{Began: a.started.Round(0), Ended: now.Round(0), Code: code, Said: a.said[:min(len(a.said), saidMost)]}
	if err := a.writeRun(run); err != nil {
		a.view().Error(fmt.Errorf("what came of this run isn't kept for \"muster schedule list\": %w", err))
		if code != exitInterrupted {
			return exitUsage
		}
	}
	return code
}

func (a *app) writeRun(run scheduledRun) error {
	p, _ := project.Find(".")
	path := runsFile(p, a.job)
	if err := notForGit(filepath.Dir(p.Journal())); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	list, err := readRuns(data)
	if err != nil {
		list = nil // nobody can read it: it begins anew
	}
	list = append(list, run)
	if data, err = json.Marshal(list[max(0, len(list)-keptRuns):]); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".runs-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
