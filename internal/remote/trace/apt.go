package trace

import (
	"fmt"
	"strings"
	"time"
)

// aptRun is a paragraph of apt's history.
type aptRun struct {
	from, to time.Time
	command  string
	by       string            // the user who asked for it, by sudo
	did      map[string]string // what was done to packages: "Upgrade" → "nginx:amd64 (1.22, 1.23), …"
}

// aptHistory is how much of apt's history is read, in bytes: a long upgrade has some 30 KB.
const aptHistory = 512 << 10

// readApt reads what apt did last, the oldest first.
func (h *Host) readApt() {
	text, before := h.tail("/var/log/apt/history.log", aptHistory)
	paragraphs := strings.Split(string(text), "\n\n")
	if before > 0 {
		paragraphs = paragraphs[1:] // which may be half of one
	}
	for _, p := range paragraphs {
		r := aptRun{did: map[string]string{}}
		for line := range strings.Lines(p) {
			name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), ": ")
			switch name {
			case "Start-Date":
				r.from = aptTime(value)
			case "End-Date":
				r.to = aptTime(value)
			case "Commandline":
				r.command = base(value)
			case "Requested-By":
				r.by, _, _ = strings.Cut(value, " ")
			case "Install", "Reinstall", "Upgrade", "Downgrade", "Remove", "Purge":
				r.did[name] = value
			}
		}
		if r.from.IsZero() {
			continue
		}
		if r.to.Before(r.from) { // it was killed, or is still at it
			r.to = r.from
		}
		h.apt = append(h.apt, r)
	}
}

// aptTime reads a date of apt's, which is one of the host's clock.
func aptTime(text string) time.Time {
	t, _ := time.ParseInLocation("2006-01-02  15:04:05", text, time.Local)
	return t
}

// who names what asked for a run.
func (r *aptRun) who() string {
	name := "apt"
	switch r.command {
	case "unattended-upgrade", "unattended-upgrades":
		return "unattended-upgrades"
	case "":
	default:
		name = r.command
	}
	if r.by != "" {
		name += ", asked for by " + r.by + ","
	}
	return name
}

// pkg is what apt did last to a package.
func (h *Host) pkg(name string) []string {
	name, _, _ = strings.Cut(name, ":")
	for i := len(h.apt) - 1; i >= 0; i-- {
		r := &h.apt[i]
		for _, verb := range []string{"Install", "Reinstall", "Upgrade", "Downgrade", "Remove", "Purge"} {
			if !strings.Contains(" "+r.did[verb], " "+name+":") {
				continue
			}
			done := map[string]string{"Install": "installed", "Reinstall": "reinstalled", "Upgrade": "upgraded", "Downgrade": "downgraded", "Remove": "removed", "Purge": "purged"}[verb]
			return []string{fmt.Sprintf("%s %s %s at %s", r.who(), done, name, stamp(r.from))}
		}
	}
	return nil
}
