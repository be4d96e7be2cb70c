package trace

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/host"
)

// session is a login.
type session struct {
	user, line, from string
	since, until     time.Time // until is zero where nobody knows the end
}

// Of wtmp(5): what is read of it, and types of its records.
const (
	wtmpSize = 1 << 20
	booted   = 2
	loggedIn = 7
	ended    = 8
)

// readSessions reads the last logins at terminals. Commands over SSH without one aren't
// among them, and neither is muster.
func (h *Host) readSessions() {
	size, at := 384, 340 // with times of 32 bits, as glibc has them where programs of 32 bits run, too
	if runtime.GOARCH == "arm64" {
		size, at = 400, 344
	}
	text, before := h.tail("/var/log/wtmp", wtmpSize)
	if skip := int(before) % size; skip > 0 {
		text = text[min(len(text), size-skip):]
	}
	open := map[string]int{}
	for ; len(text) >= size; text = text[size:] {
		line := cString(text[8:40])
		var when time.Time
		if size == 384 {
			when = time.Unix(int64(binary.NativeEndian.Uint32(text[at:])), 0)
		} else {
			when = time.Unix(int64(binary.NativeEndian.Uint64(text[at:])), 0)
		}
		switch binary.NativeEndian.Uint16(text) {
		case booted:
			for _, i := range open {
				h.sessions[i].until = when
			}
			clear(open)
		case loggedIn:
			open[line] = len(h.sessions)
			h.sessions = append(h.sessions, session{user: cString(text[44:76]), line: line, from: cString(text[76:332]), since: when})
		case ended:
			if i, ok := open[line]; ok {
				h.sessions[i].until = when
				delete(open, line)
			}
		}
	}
}

func cString(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}

// logins is who was logged in at a moment; where that was nobody, or nobody knows, who was last.
func (h *Host) logins(ctx context.Context, at time.Time) (list []string) {
	if h.sessions == nil {
		return h.loginsOfJournal(ctx, at)
	}
	last := -1
	for i := range h.sessions {
		s := &h.sessions[i]
		if s.since.After(at.Add(time.Second)) {
			continue
		}
		last = i
		if s.until.IsZero() || !s.until.Add(time.Second).Before(at) { // wtmp knows seconds
			list = append(list, fmt.Sprintf("%s was logged in then, since %s%s", s.user, stamp(s.since), s.origin()))
		}
	}
	if list == nil && last >= 0 {
		s := &h.sessions[last]
		list = append(list, fmt.Sprintf("the last login before that was %s, from %s to %s%s", s.user, stamp(s.since), clock(s.until), s.origin()))
	}
	return list[max(0, len(list)-3):]
}

func (s *session) origin() string {
	if s.from == "" {
		return ", at " + s.line
	}
	return ", from " + s.from
}

// entry is what is read of an entry of the journal.
type entry struct {
	Identifier string `json:"SYSLOG_IDENTIFIER"`
	Message    any    `json:"MESSAGE"`              // a list of bytes where it is no text
	Time       string `json:"__REALTIME_TIMESTAMP"` // microseconds
	Session    string `json:"SESSION_ID"`
	User       string `json:"USER_ID"`
	UID        string `json:"_UID"` // whose process sent it, and which program that was:
	Exe        string `json:"_EXE"` // the journal says so itself
}

// genuine reports whether root's process sent the entry, or sudo, which is still its
// caller's then: everybody can send one that calls itself theirs.
func (e *entry) genuine() bool {
	return e.UID == "0" || e.Exe == "/usr/bin/sudo" || e.Exe == "/bin/sudo"
}

func (e *entry) at() time.Time {
	n, _ := strconv.ParseInt(e.Time, 10, 64)
	return time.UnixMicro(n)
}

// entries asks the journal for the last of them, the oldest first; none where there is no
// systemd, or it may not be read.
func (h *Host) entries(ctx context.Context, args ...string) (list []entry) {
	args = append([]string{"journalctl", "--quiet", "--no-pager", "--output=json", "--lines=200", "--reverse", // with --since it gives the first ones otherwise
		"--output-fields=SYSLOG_IDENTIFIER,MESSAGE,SESSION_ID,USER_ID,_UID,_EXE"}, args...)
	out, err := h.Run.Run(ctx, host.Command{Argv: args})
	if err != nil || out.ExitCode != 0 {
		return nil
	}
	for line := range bytes.Lines(out.Stdout) {
		var e entry
		if json.Unmarshal(line, &e) == nil && e.genuine() {
			list = append(list, e)
		}
	}
	slices.Reverse(list)
	return list
}

// newSession is the ID of logind's message that a session has begun.
const newSession = "MESSAGE_ID=8d45620c1a4348dbb17410da57c60c66"

// loginsOfJournal is the last login before a moment, where there is no wtmp. This login
// isn't among them.
func (h *Host) loginsOfJournal(ctx context.Context, at time.Time) []string {
	own, _ := os.ReadFile("/proc/self/sessionid")
	list := h.entries(ctx, newSession, "--until=@"+strconv.FormatInt(at.Unix()+1, 10))
	for _, e := range slices.Backward(list) {
		if e.User != "" && e.Session != string(own) {
			return []string{fmt.Sprintf("the last login before that was %s, at %s", e.User, stamp(e.at()))}
		}
	}
	return nil
}

// writers are the programs that set what others set, by their names in the journal.
func writers() []string {
	return []string{"sudo", "CRON", "cron", "puppet-agent", "chef-client", "salt-minion", "cf-agent", "python3"}
}

// How long before a moment something may have begun that altered the thing then: a command
// that names its path, and any.
const (
	namedBefore = 30 * time.Minute
	anyBefore   = time.Minute
)

// journal is what was run by sudo, cron and others of which the journal tells, right before
// a path was altered.
func (h *Host) journal(ctx context.Context, path string, at time.Time) (list []string) {
	entries, asked := h.moments[at.Unix()]
	if !asked {
		if len(h.moments) >= maxMoments {
			return nil
		}
		var args []string
		for _, name := range writers() {
			args = append(args, "--identifier="+name)
		}
		entries = h.entries(ctx, append(args, "--since=@"+strconv.FormatInt(at.Add(-namedBefore).Unix(), 10), "--until=@"+strconv.FormatInt(at.Unix()+1, 10))...)
		h.moments[at.Unix()] = entries
	}
	for _, e := range slices.Backward(entries) {
		message, _ := e.Message.(string)
		names := strings.Contains(message, path)
		if !names && at.Sub(e.at()) > anyBefore || strings.Contains(message, "muster") {
			continue
		}
		text := ranBy(e.Identifier, message)
		if text == "" {
			continue
		}
		if names {
			text += ", with this path,"
		}
		if text += " at " + stamp(e.at()); !slices.Contains(list, text) {
			list = append(list, text)
		}
		if len(list) == 2 {
			break
		}
	}
	return list
}

// ranBy is an entry in words, with no argument of a command; "" where it says nothing.
func ranBy(identifier, message string) string {
	switch identifier {
	case "sudo": // ann : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/vim /etc/motd
		user, rest, _ := strings.Cut(strings.TrimSpace(message), " : ")
		_, command, ok := strings.Cut(rest, "COMMAND=")
		if first, _, _ := strings.Cut(rest, " ; "); !ok || !strings.Contains(first, "=") { // it says that it was refused
			return ""
		}
		return strings.TrimSpace(user) + " ran " + base(command) + " by sudo"
	case "CRON", "cron": // (root) CMD (/usr/local/sbin/fix --all)
		user, command, ok := strings.Cut(message, ") CMD (")
		if !ok {
			return ""
		}
		return "cron ran " + base(strings.TrimSuffix(command, ")")) + " for " + strings.TrimPrefix(user, "(")
	case "python3": // ansible-copy Invoked with src=…
		module, _, ok := strings.Cut(message, " Invoked with ")
		if !ok || !strings.HasPrefix(module, "ansible-") {
			return ""
		}
		return "Ansible ran " + strings.TrimPrefix(module, "ansible-")
	}
	return identifier + " was at work"
}
