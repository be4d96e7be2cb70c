// Package trace finds what a host knows of who altered something: times and owner of a
// file, whether apt ran then, who was logged in, and what was run by sudo or cron.
//
// It only reads, and only where a task has drifted: files that are there on every
// Debian, the last of each, and one look into the journal for each moment. What isn't
// known isn't said. All of it is what the host says, which whoever altered the thing
// may have altered, too.
package trace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"muster/host"
)

// Host is where traces are looked for.
type Host struct {
	Root string // what stands before every path; "" but in tests
	Run  host.Runner
	User func(uid uint32) string // the name of a user; "" where there is none

	apt      []aptRun
	sessions []session
	moments  map[int64][]entry // what the journal says, by moment
}

// How much is looked at: moments in the journal, for how long all in all, and lines for a
// task.
const (
	maxMoments = 8
	journalFor = 5 * time.Second
	maxLines   = 6
)

// Of is what the host knows of who altered the things with the keys of each task. The files
// of a package are apt's, and aren't told one by one.
func (h *Host) Of(ctx context.Context, tasks [][]host.Key) [][]string {
	ctx, cancel := context.WithTimeout(ctx, journalFor)
	defer cancel()
	h.moments = map[int64][]entry{}
	h.readApt()
	h.readSessions()
	list := make([][]string, len(tasks))
	for i, keys := range tasks {
		ofPackages := slices.ContainsFunc(keys, func(k host.Key) bool { return k.Space == host.Packages })
		for _, key := range keys {
			switch {
			case len(list[i]) >= maxLines:
			case key.Space == host.Files && slices.Contains(accounts(), strings.TrimSuffix(key.Name, "-")):
			case key.Space == host.Files && !ofPackages && filepath.IsAbs(key.Name):
				list[i] = append(list[i], h.file(ctx, key.Name)...)
			case key.Space == host.Packages:
				list[i] = append(list[i], h.pkg(key.Name)...)
			}
		}
		list[i] = list[i][:min(len(list[i]), maxLines)]
	}
	return list
}

// accounts are the files that hold all accounts: what altered one last says nothing of
// another's.
func accounts() []string {
	return []string{"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"}
}

// file is what is known of a file, or of its absence.
func (h *Host) file(ctx context.Context, path string) (list []string) {
	info, err := os.Lstat(h.Root + path)
	if errors.Is(err, fs.ErrNotExist) {
		dir := filepath.Dir(path)
		if info, err = os.Lstat(h.Root + dir); err != nil {
			return nil // its folder is gone, too: nothing tells when
		}
		at := info.ModTime()
		return append([]string{fmt.Sprintf("%s isn't there; something was made or removed in %s last at %s", path, dir, stamp(at))}, h.when(ctx, path, at)...)
	}
	if err != nil {
		return nil
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	written, changed := info.ModTime(), time.Unix(st.Ctim.Unix())
	text := fmt.Sprintf("%s was written at %s", path, stamp(written))
	if d := changed.Sub(written); d.Abs() > time.Second {
		text += fmt.Sprintf(", its name, owner or mode changed at %s", stamp(changed))
	}
	owner := strconv.FormatUint(uint64(st.Uid), 10)
	if name := h.User(st.Uid); name != "" {
		owner = name
	}
	return append([]string{text + "; it belongs to " + owner}, h.when(ctx, path, changed)...)
}

// when is what happened around a moment at which a path was altered. The time of a change
// can't be set back by whoever makes it, so it is that one.
func (h *Host) when(ctx context.Context, path string, at time.Time) (list []string) {
	for i := len(h.apt) - 1; i >= 0; i-- {
		if r := &h.apt[i]; !at.Before(r.from) && !at.After(r.to.Add(2*time.Second)) {
			return []string{fmt.Sprintf("%s ran then, from %s to %s", r.who(), stamp(r.from), clock(r.to))}
		}
	}
	list = h.journal(ctx, path, at)
	return append(list, h.logins(ctx, at)...)
}

// stamp is a moment, to the second where it is one of today or not: who reads it compares
// it with other logs.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
func clock(t time.Time) string { return t.UTC().Format("15:04:05") }

// tail is the last of a file, up to size bytes, and how many bytes are before it.
func (h *Host) tail(path string, size int64) (text []byte, before int64) {
	f, err := os.Open(h.Root + path)
	if err != nil {
		return nil, 0
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, 0
	}
	before = max(0, info.Size()-size)
	text = make([]byte, info.Size()-before)
	n, _ := f.ReadAt(text, before) // what was cut off meanwhile isn't there
	return text[:n], before
}

// base is the program of a command line, without its arguments, which may be secrets.
func base(command string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(command), " ")
	return filepath.Base(word)
}
