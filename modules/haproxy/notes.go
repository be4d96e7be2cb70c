package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"muster/host"
)

// notesDir holds a file BACKEND/SERVER for each server that muster has taken out.
const notesDir = "/var/lib/muster/haproxy/drained"

// note says that muster has taken a server out, and how that was before. It is written
// before anything is done to the server, and removed when it has been put back: whoever
// comes after a run that was killed knows from it what that run has left.
type note struct {
	Backend string `json:"backend"`
	Server  string `json:"server"`
	// What was there before.
	State   string `json:"state"` // ready; drain or maint where an operator had it so
	Weight  int    `json:"weight"`
	Initial int    `json:"initial"` // the configured weight of then
	Agent   bool   `json:"agent"`   // its agent check was on
	// Left is the states that muster may have left it in: one, or two where it was cut
	// off between them.
	Left []string `json:"left"`
	// Settled: its sessions had ended.
	Settled bool `json:"settled,omitempty"`
	// Run is the name of the run that has taken it out.
	Run string `json:"run,omitempty"`
	// That run was to put it back itself, after what a rolling play does.
	Passing bool `json:"passing,omitempty"`
	// Invocation is systemd's of HAProxy's unit. A reload keeps it; a restart, after
	// which no server is out that the configuration doesn't have so, doesn't.
	Invocation string `json:"invocation,omitempty"`
}

func notePath(backend, server string) string { return filepath.Join(notesDir, backend, server) }

// noteEffects is that something is noted of a server, or no longer.
func noteEffects(backend, server string) []host.Effect {
	path := notePath(backend, server)
	list := []host.Effect{host.Open(host.Files, path)}
	for dir := filepath.Dir(path); dir != "/var/lib"; dir = filepath.Dir(dir) {
		list = append(list, host.Effect{Key: host.File(dir), State: host.Possible})
	}
	return list
}

// noteLimit is the size, in bytes, up to which notes are read.
const noteLimit = 4096

// readNote returns what is noted of a server, nil if nothing is.
func readNote(ctx context.Context, v *host.View, backend, server string) (*note, error) {
	data, err := v.ReadFile(ctx, notePath(backend, server), noteLimit)
	return parseNote(data, err, backend, server)
}

// lookNote is readNote for a change.
func lookNote(backend, server string) (*note, error) {
	data, err := os.ReadFile(notePath(backend, server))
	return parseNote(data, err, backend, server)
}

// parseNote takes a note that can't be read as none: nobody but muster writes there, and
// what it says can't be told any more.
func parseNote(data []byte, err error, backend, server string) (*note, error) {
	n := &note{}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case host.Unmarshal(data, n) != nil || n.Backend != backend || n.Server != server:
		return nil, nil
	}
	return n, nil
}

func (n *note) write() error {
	d, err := host.MakeDirs(filepath.Dir(notePath(n.Backend, n.Server)), 0o700)
	if err != nil {
		return err
	}
	d.Close()
	data, err := host.Marshal(n)
	if err != nil {
		return err
	}
	return host.Put(notePath(n.Backend, n.Server), data, 0o600)
}

// keepNote has n stand for a server, nothing where it is nil.
func keepNote(n *note, backend, server string) error {
	if n == nil {
		return host.Drop(notePath(backend, server))
	}
	return n.write()
}

// planned is the note without what differs from run to run: as it is laid for the tasks
// behind the one that writes it.
func (n *note) planned() *note {
	if n == nil {
		return nil
	}
	c := *n
	c.Run, c.Passing, c.Invocation = "", false, ""
	return &c
}

func (n *note) same(m *note) bool {
	if n == nil || m == nil {
		return n == m
	}
	return n.State == m.State && n.Weight == m.Weight && n.Initial == m.Initial && n.Agent == m.Agent &&
		n.Settled == m.Settled && n.Run == m.Run && n.Passing == m.Passing && n.Invocation == m.Invocation && slices.Equal(n.Left, m.Left)
}

// tells reports whether the note explains the state that a server is in: muster has left
// it so, or somebody has put it back. In any other, somebody else has had a hand in it
// since, and what is noted counts for nothing.
//
// HAProxy forgets who was taken out when it is restarted. So a note from before that
// explains nothing, unless the configuration loads the states of servers from a file
// (kept): a server that is out after a restart was taken out by somebody else then.
func (n *note) tells(state, invocation string, kept bool) bool {
	if n.Invocation != "" && n.Invocation != invocation && !kept {
		return false
	}
	return state == ready || state == n.State || slices.Contains(n.Left, state)
}

// leftOut returns the notes of servers that are out because another run than this one has
// taken them out, and hasn't put them back; in order of their names. Where HAProxy can't be asked
// that is an error, and host.ErrNotYet where pending changes are about it.
func leftOut(ctx context.Context, v *host.View) (list []note, err error) {
	backends, err := v.ReadDir(notesDir)
	if err != nil || len(backends) == 0 {
		return nil, err
	}
	f, err := readFarm(ctx, v)
	if err != nil {
		return nil, err
	}
	for _, backend := range backends {
		names, err := v.ReadDir(filepath.Join(notesDir, backend))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			r := f.find(backend, name)
			if r == nil {
				continue
			}
			_, n, err := f.standing(ctx, v, r)
			if err != nil {
				return nil, err
			}
			if n != nil && n.Run != "" && n.Run != v.RunName() && n.State == ready && r.forced() != ready {
				list = append(list, *n)
			}
		}
	}
	return list, nil
}

// brief is the name of a run as it is shown.
func brief(run string) string {
	if len(run) > 8 {
		return run[:8]
	}
	return run
}

// left says of a server that another run has taken it out: "left drained by run 3f2a".
func (n *note) left(state string) string {
	return fmt.Sprintf("left %s by run %s, which didn't put it back", inWords(state), brief(n.Run))
}

// inWords is a state in a sentence.
func inWords(state string) string {
	switch state {
	case drain:
		return "drained"
	case maint:
		return "in maintenance"
	}
	return state
}
