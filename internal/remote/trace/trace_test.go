package trace

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster/host"
)

// journal stands for journalctl: it prints its entries, and keeps how it was called.
type journal struct {
	text  string
	calls [][]string
}

func (j *journal) Run(_ context.Context, c host.Command) (host.Output, error) {
	j.calls = append(j.calls, c.Argv)
	if j.text == "none" {
		return host.Output{}, os.ErrNotExist
	}
	text := ""
	for line := range strings.Lines(j.text) {
		if strings.Contains(line, "USER_ID") == slices.Contains(c.Argv, newSession) {
			text += line
		}
	}
	return host.Output{Stdout: []byte(text)}, nil
}

// at writes a file of the host, and returns when it was changed.
func at(t *testing.T, root, path, content string) time.Time {
	t.Helper()
	file := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(file)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(info.Sys().(*syscall.Stat_t).Ctim.Unix())
}

// record is one of wtmp's.
func record(kind uint16, line, user, from string, when time.Time) string {
	size, at := 384, 340
	if runtime.GOARCH == "arm64" {
		size, at = 400, 344
	}
	b := make([]byte, size)
	binary.NativeEndian.PutUint16(b, kind)
	copy(b[8:40], line)
	copy(b[44:76], user)
	copy(b[76:332], from)
	if size == 384 {
		binary.NativeEndian.PutUint32(b[at:], uint32(when.Unix()))
	} else {
		binary.NativeEndian.PutUint64(b[at:], uint64(when.Unix()))
	}
	return string(b)
}

func known(t *testing.T, root string, j *journal, keys ...host.Key) string {
	t.Helper()
	h := &Host{Root: root, Run: j, User: func(uid uint32) string { return map[uint32]string{0: "root"}[uid] }}
	list := h.Of(t.Context(), [][]host.Key{keys})
	return strings.Join(list[0], "\n")
}

func TestAFileIsNamedWithItsTimesAndOwner(t *testing.T) {
	root := t.TempDir()
	changed := at(t, root, "/etc/motd", "mine\n")
	old := time.Date(2026, 5, 3, 22, 14, 7, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(root, "etc/motd"), old, old); err != nil {
		t.Fatal(err)
	}
	owner := fmt.Sprint(os.Getuid())
	if owner == "0" {
		owner = "root"
	}
	got := known(t, root, &journal{text: "none"}, host.File("/etc/motd"))
	want := "/etc/motd was written at 2026-05-03 22:14:07 UTC, its name, owner or mode changed at " + changed.UTC().Format("2006-01-02 15:04:05") + " UTC; it belongs to " + owner
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := known(t, root, &journal{text: "none"}, host.File("/etc/none")); !strings.HasPrefix(got, "/etc/none isn't there; something was made or removed in /etc last at 20") {
		t.Error(got)
	}
	if got := known(t, root, &journal{text: "none"}, host.File("/no/such/file"), host.Key{Space: host.Units, Name: "x.service"}); got != "" {
		t.Error(got)
	}
}

func TestAptThatRanThenIsNamed(t *testing.T) {
	root := t.TempDir()
	changed := at(t, root, "/etc/nginx/nginx.conf", "x")
	stanza := func(from, to time.Time, more string) string {
		return "\nStart-Date: " + from.Local().Format("2006-01-02  15:04:05") + "\n" + more + "\nEnd-Date: " + to.Local().Format("2006-01-02  15:04:05") + "\n"
	}
	day := 24 * time.Hour
	at(t, root, "/var/log/apt/history.log",
		stanza(changed.Add(-3*day), changed.Add(-3*day), "Commandline: apt-get install nginx token=s3cret\nRequested-By: ann (1000)\nInstall: nginx:amd64 (1.22), libx:amd64 (1, automatic)")+
			stanza(changed.Add(-2*day), changed.Add(-2*day), "Commandline: apt remove libx\nRequested-By: bob (1001)\nRemove: libx:amd64 (1)")+
			stanza(changed.Add(-time.Minute), changed, "Commandline: /usr/bin/unattended-upgrade\nUpgrade: nginx-common:amd64 (1.22, 1.23), openssl:amd64 (3.0, 3.1)"))
	j := &journal{text: "none"}
	if got := known(t, root, j, host.File("/etc/nginx/nginx.conf")); !strings.Contains(got, "\nunattended-upgrades ran then, from ") || len(j.calls) > 0 {
		t.Error(got, j.calls)
	}
	for name, want := range map[string]string{
		"nginx": "apt-get, asked for by ann, installed nginx at ", "libx": "apt, asked for by bob, removed libx at ",
		"openssl:amd64": "unattended-upgrades upgraded openssl at ", "common": "", "ngin": "",
	} {
		if got := known(t, root, j, host.File("/etc/nginx/nginx.conf"), host.Key{Space: host.Packages, Name: name}); !strings.HasPrefix(got, want) || (want == "") != (got == "") || strings.Contains(got, "s3cret") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestWhoWasLoggedInIsNamed(t *testing.T) {
	root := t.TempDir()
	changed := at(t, root, "/etc/motd", "mine\n")
	hour := func(n float64) time.Time { return changed.Add(time.Duration(n * float64(time.Hour))) }
	for name, test := range map[string]struct{ wtmp, want string }{
		"somebody": {record(2, "~", "reboot", "6.1", hour(-9)) + record(7, "pts/0", "ann", "10.0.0.5", hour(-2)) + record(7, "tty1", "bob", "", hour(-1)) + record(8, "tty1", "", "", hour(-0.5)),
			"ann was logged in then, since " + stamp(hour(-2)) + ", from 10.0.0.5"},
		"two":                         {record(7, "pts/0", "ann", "a", hour(-2)) + record(7, "tty1", "bob", "", hour(-1)), "ann was logged in then, since " + stamp(hour(-2)) + ", from a\nbob was logged in then, since " + stamp(hour(-1)) + ", at tty1"},
		"nobody any more":             {record(7, "pts/0", "ann", "a", hour(-2)) + record(8, "pts/0", "", "", hour(-1)), "the last login before that was ann, from " + stamp(hour(-2)) + " to " + clock(hour(-1)) + ", from a"},
		"whoever left in that second": {record(7, "pts/0", "ann", "a", hour(-2)) + record(8, "pts/0", "", "", changed.Truncate(time.Second)), "ann was logged in then, since " + stamp(hour(-2)) + ", from a"},
		"a boot ends them":            {record(7, "pts/0", "ann", "a", hour(-4)) + record(2, "~", "reboot", "", hour(-3)), "the last login before that was ann, from " + stamp(hour(-4)) + " to " + clock(hour(-3)) + ", from a"},
		"only later ones":             {record(7, "pts/0", "ann", "a", hour(1)), ""},
		"a record cut short":          {record(7, "pts/0", "ann", "a", hour(-2)) + "\x07\x00", "ann was logged in then, since " + stamp(hour(-2)) + ", from a"},
		"garbage":                     {strings.Repeat("\xff", 1000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			at(t, root, "/var/log/wtmp", test.wtmp)
			first, got, _ := strings.Cut(known(t, root, &journal{text: "none"}, host.File("/etc/motd")), "\n")
			if got != test.want || !strings.HasPrefix(first, "/etc/motd was written") {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestTheJournalNamesTheOtherWriter(t *testing.T) {
	root := t.TempDir()
	changed := at(t, root, "/etc/motd", "mine\n")
	entry := func(before time.Duration, identifier, message string) string {
		return fmt.Sprintf(`{"__REALTIME_TIMESTAMP":"%d","_UID":"0","SYSLOG_IDENTIFIER":%q,"MESSAGE":%q}`+"\n", changed.Add(-before).UnixMicro(), identifier, message)
	}
	as := func(uid, exe, entry string) string {
		return strings.Replace(entry, `"_UID":"0"`, `"_UID":"`+uid+`","_EXE":"`+exe+`"`, 1)
	}
	vim := entry(time.Second, "sudo", "ann : TTY=pts/0 ; USER=root ; COMMAND=/usr/bin/vim /etc/motd")
	for name, test := range map[string]struct{ entries, want string }{
		"sudo names the path": {entry(10*time.Minute, "sudo", "     ann : TTY=pts/0 ; PWD=/home/ann ; USER=root ; COMMAND=/usr/bin/vim /etc/motd"), "ann ran vim by sudo, with this path, at "},
		"a command long ago":  {entry(10*time.Minute, "sudo", "ann : USER=root ; COMMAND=/usr/bin/vim /etc/hosts"), ""},
		"arguments aren't told": {entry(time.Second, "CRON", "(root) CMD (/usr/local/sbin/fix --password s3cret)"),
			"cron ran fix for root at "},
		"Ansible":                       {entry(time.Second, "python3", "ansible-ansible.builtin.copy Invoked with dest=/etc/x content=s3cret"), "Ansible ran ansible.builtin.copy at "},
		"Puppet":                        {entry(time.Second, "puppet-agent", "(/Stage[main]/File[/etc/motd]/content) changed s3cret"), "puppet-agent was at work, with this path, at "},
		"a session":                     {entry(time.Second, "sudo", "pam_unix(sudo:session): session opened for user root"), ""},
		"muster itself":                 {entry(time.Second, "sudo", "ann : USER=root ; COMMAND=/usr/bin/sh -c exec .cache/muster/remote"), ""},
		"sudo that is still ann's":      {as("1000", "/usr/bin/sudo", vim), "ann ran vim by sudo, with this path, at "},
		"who calls themselves sudo":     {as("1000", "/usr/bin/logger", vim), ""},
		"who calls themselves cron":     {as("1000", "/usr/bin/logger", entry(time.Second, "CRON", "(root) CMD (/usr/bin/vim /etc/motd)")), ""},
		"what sudo refused":             {entry(time.Second, "sudo", "eve : command not allowed ; TTY=pts/0 ; USER=root ; COMMAND=/usr/bin/vim /etc/motd"), ""},
		"the newest, which comes first": {vim + entry(2*time.Second, "sudo", "bob : TTY=pts/0 ; USER=root ; COMMAND=/usr/bin/tee /etc/motd"), "ann ran vim by sudo, with this path, at "},
		"no text":                       {`{"__REALTIME_TIMESTAMP":"1","SYSLOG_IDENTIFIER":"sudo","MESSAGE":[1,2]}` + "\nno json\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			j := &journal{text: test.entries}
			_, got, _ := strings.Cut(known(t, root, j, host.File("/etc/motd"), host.File("/etc/motd")), "\n")
			got, _, _ = strings.Cut(got, "\n")
			if test.want == "" && strings.Contains(got, " at ") && !strings.HasPrefix(got, "/etc/motd") || !strings.HasPrefix(got, test.want) || strings.Contains(got, "s3cret") {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestTheLastLoginComesFromTheJournalWhereThereIsNoOther(t *testing.T) {
	root := t.TempDir()
	changed := at(t, root, "/etc/motd", "mine\n")
	j := &journal{text: fmt.Sprintf(`{"__REALTIME_TIMESTAMP":"%d","_UID":"0","USER_ID":"ann","SESSION_ID":"none of this one"}`+"\n", changed.Add(-time.Hour).UnixMicro())}
	if got := known(t, root, j, host.File("/etc/motd")); !strings.HasSuffix(got, "\nthe last login before that was ann, at "+stamp(changed.Add(-time.Hour))) {
		t.Error(got)
	}
}

func TestFilesOfAllAccountsSayNothingOfOne(t *testing.T) {
	root := t.TempDir()
	at(t, root, "/etc/passwd", "x")
	at(t, root, "/etc/shadow-", "x")
	if got := known(t, root, &journal{}, host.File("/etc/passwd"), host.File("/etc/shadow-")); got != "" {
		t.Error(got)
	}
}

func TestTheJournalIsAskedOnceForAMomentAndNotWithoutEnd(t *testing.T) {
	root := t.TempDir()
	var tasks [][]host.Key
	for i := range 30 {
		path := fmt.Sprintf("/etc/f%d", i)
		at(t, root, path, "x")
		tasks = append(tasks, []host.Key{host.File(path)})
	}
	at(t, root, "/var/log/wtmp", record(7, "pts/0", "ann", "a", time.Now().Add(-time.Hour)))
	j := &journal{}
	h := &Host{Root: root, Run: j, User: func(uint32) string { return "" }}
	if list := h.Of(t.Context(), tasks); len(list) != 30 || len(list[29]) != 2 {
		t.Error(list)
	}
	if n := len(j.calls); n == 0 || n > maxMoments {
		t.Errorf("the journal is asked %d times", n)
	}
	for _, call := range j.calls {
		if !slices.Contains(call, "--reverse") {
			t.Errorf("%q gives the oldest entries of many", call)
		}
	}
}

func TestALongHistoryIsReadFromItsEnd(t *testing.T) {
	root := t.TempDir()
	at(t, root, "/var/log/apt/history.log", strings.Repeat("\nStart-Date: 2026-01-01  00:00:00\nUpgrade: old:amd64 (1, 2)\nEnd-Date: 2026-01-01  00:00:01\n", 20_000)+
		"\nStart-Date: 2026-05-01  00:00:00\nUpgrade: old:amd64 (2, 3)\nEnd-Date: 2026-05-01  00:00:01\n")
	h := &Host{Root: root}
	h.readApt()
	if n := len(h.apt); n == 0 || n > 10_000 {
		t.Errorf("%d runs", n)
	}
	if got := h.pkg("old"); !strings.Contains(got[0], "2026-0") || !strings.HasPrefix(got[0], "apt upgraded old at 2026-0") || strings.Contains(got[0], "2026-01") {
		t.Error(got)
	}
	at(t, root, "/var/log/wtmp", strings.Repeat(record(7, "pts/0", "ann", "a", time.Unix(1_700_000_000, 0)), 4000))
	h.readSessions()
	if n := len(h.sessions); n == 0 || n > 3000 {
		t.Errorf("%d sessions", n)
	}
}
