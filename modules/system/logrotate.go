package system

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"muster/host"
	"muster/modules"
)

// Logrotate is how logs are rotated: a file of its own in /etc/logrotate.d.
//
// logrotate has to accept its whole configuration with the file in it (logrotate -d), while planning and
// again before the file lands: it would pass over a file with a mistake, or over one that rotates a log
// which another rotates already.
type Logrotate struct {
	// The file's name: "app".
	Name string `arg:"name,key,required"`
	// The logs: paths and patterns ("/var/log/app/*.log").
	Paths []string `arg:"paths"`
	// How often. Without it logrotate's own setting counts, or a size.
	Frequency string `arg:"frequency" oneof:"hourly daily weekly monthly yearly"`
	// How many old logs are kept; 0: none.
	Keep *int `arg:"keep"`
	// Rotate when a log is larger than that, and not by time: "100M".
	Size string `arg:"size"`
	// Rotate before the time when a log is larger than that.
	MaxSize string `arg:"max_size"`
	// Don't rotate a log that is smaller than that, though it is time.
	MinSize string `arg:"min_size"`
	// Remove old logs after so many days.
	MaxAge *int `arg:"max_age"`
	// Compress old logs.
	Compress *bool `arg:"compress"`
	// Compress an old log only the next time: for programs that go on writing to it.
	DelayCompress *bool `arg:"delay_compress"`
	// Copy the log and empty it, in place of moving it: for programs that can't open it
	// anew. What is written in between is lost.
	CopyTruncate *bool `arg:"copy_truncate"`
	// Whether it is no mistake where a log isn't there.
	MissingOK *bool `arg:"missing_ok"`
	// Whether an empty log is rotated.
	IfEmpty *bool `arg:"if_empty"`
	// Name old logs by the day, in place of a number.
	DateExt *bool `arg:"date_ext"`
	// The new log's mode, owner and group: "0640 app adm".
	Create string `arg:"create"`
	// The user and group who rotate, where others than root can write to the folder: "app adm".
	Su string `arg:"su"`
	// Whether the scripts run once for all logs, and not for each.
	SharedScripts *bool `arg:"shared_scripts"`
	// A script for the shell before a log is rotated.
	PreRotate string `arg:"pre_rotate"`
	// A script for the shell after it: "systemctl kill -s HUP app".
	PostRotate string `arg:"post_rotate"`
	// Other lines of logrotate(8), as they are.
	Options []string `arg:"options"`
	// The whole file, in place of all of that.
	Content *host.Content `arg:"content"`
	// Whether the file is there at all.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

var (
	// logrotate passes over names with some endings (tabooext), and run by hand over none
	// of these.
	rotationForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`)
	bytesForm    = regexp.MustCompile(`^[0-9]+[kMG]?$`)
	createForm   = regexp.MustCompile(`^([0-7]{3,4}( [A-Za-z0-9_][A-Za-z0-9_.-]*( [A-Za-z0-9_][A-Za-z0-9_.-]*)?)?|[A-Za-z_][A-Za-z0-9_.-]* [A-Za-z_][A-Za-z0-9_.-]*)$`)
	suForm       = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]* [A-Za-z0-9_][A-Za-z0-9_.-]*$`)
)

// Check refuses what logrotate would pass over, or read as something else.
func (l *Logrotate) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, path, summary, format string, a ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: fmt.Sprintf(format, a...)})
		}
	}
	if !rotationForm.MatchString(l.Name) {
		fail("name", "", "Wrong value", `%q is no name for a file that logrotate reads in /etc/logrotate.d: it takes letters, digits, "_" and "-".`, l.Name)
	}
	for arg, value := range map[string]string{"size": l.Size, "max_size": l.MaxSize, "min_size": l.MinSize} {
		if value != "" && !bytesForm.MatchString(value) {
			fail(arg, "", "Wrong value", `%q is no size: it takes bytes, or a number with "k", "M" or "G" behind it, such as "100M".`, value)
		}
	}
	for arg, value := range map[string]*int{"keep": l.Keep, "max_age": l.MaxAge} {
		if value != nil && *value < 0 {
			fail(arg, "", "Wrong value", "%d is less than none: it takes 0 or more.", *value)
		}
	}
	if l.Create != "" && !createForm.MatchString(l.Create) {
		fail("create", "", "Wrong value", `%q isn't a mode, an owner and a group, such as "0640 app adm".`, l.Create)
	}
	if l.Su != "" && !suForm.MatchString(l.Su) {
		fail("su", "", "Wrong value", `%q isn't a user and a group, such as "app adm".`, l.Su)
	}
	if l.Size != "" && l.Frequency != "" {
		fail("size", "", "Conflicting arguments", `With a size logs aren't rotated by time, and logrotate takes the one of both that stands last: use "max_size" to rotate large ones before their time.`)
	}
	if l.Create != "" && l.CopyTruncate != nil && *l.CopyTruncate {
		fail("create", "", "Conflicting arguments", "A log that is copied and emptied stays the same file: none is created.")
	}
	for i, p := range l.Paths {
		if !filepath.IsAbs(p) || strings.ContainsAny(p, "\n\r\x00\"") {
			fail("paths", fmt.Sprintf("[%d]", i), "Wrong value", `%q is no absolute path or pattern on the host: it has to begin with "/", and holds neither line ends nor double quotes.`, p)
		}
	}
	for i, o := range l.Options {
		if strings.ContainsAny(o, "\n\r\x00{}") || strings.TrimSpace(o) == "" {
			fail("options", fmt.Sprintf("[%d]", i), "Wrong value", `%q isn't one line of logrotate(8): use content for more.`, o)
		}
	}
	for arg, text := range map[string]string{"pre_rotate": l.PreRotate, "post_rotate": l.PostRotate} {
		for line := range strings.SplitSeq(text, "\n") {
			if f := strings.Fields(line); len(f) > 0 && f[0] == "endscript" {
				fail(arg, "", "Wrong value", `The line "endscript" would end the script there: it is written by itself.`)
			}
		}
	}
	given := len(l.lines()) > 0 || len(l.Paths) > 0
	switch {
	case l.Content != nil && given:
		fail("content", "", "Conflicting arguments", `What is rotated comes from "content" or from the other arguments, not from both.`)
	case l.State == "absent" && (given || l.Content != nil):
		fail("state", "", "Conflicting arguments", "A file that is to be absent says nothing of logs.")
	case l.State != "absent" && l.Content == nil && len(l.Paths) == 0 && !unknown("content") && !unknown("state"):
		fail("paths", "", "Missing argument", "Name the logs, or give the file as content.")
	}
	return errs
}

// lines are what stands between the braces.
func (l *Logrotate) lines() []string {
	var list []string
	add := func(format string, a ...any) { list = append(list, fmt.Sprintf(format, a...)) }
	if l.Frequency != "" {
		add("%s", l.Frequency)
	}
	if l.Keep != nil {
		add("rotate %d", *l.Keep)
	}
	for _, s := range []struct{ word, value string }{{"size", l.Size}, {"maxsize", l.MaxSize}, {"minsize", l.MinSize}, {"create", l.Create}, {"su", l.Su}} {
		if s.value != "" {
			add("%s %s", s.word, s.value)
		}
	}
	if l.MaxAge != nil {
		add("maxage %d", *l.MaxAge)
	}
	for _, s := range []struct {
		on, off string
		value   *bool
	}{
		{"compress", "nocompress", l.Compress},
		{"delaycompress", "nodelaycompress", l.DelayCompress},
		{"copytruncate", "nocopytruncate", l.CopyTruncate},
		{"missingok", "nomissingok", l.MissingOK},
		{"ifempty", "notifempty", l.IfEmpty},
		{"dateext", "nodateext", l.DateExt},
		{"sharedscripts", "nosharedscripts", l.SharedScripts},
	} {
		switch {
		case s.value == nil:
		case *s.value:
			add("%s", s.on)
		default:
			add("%s", s.off)
		}
	}
	list = append(list, l.Options...)
	for _, s := range []struct{ word, text string }{{"prerotate", l.PreRotate}, {"postrotate", l.PostRotate}} {
		if s.text != "" {
			list = append(list, s.word)
			for line := range strings.SplitSeq(strings.TrimRight(s.text, "\n"), "\n") {
				list = append(list, "\t"+line)
			}
			list = append(list, "endscript")
		}
	}
	return list
}

// text is the file that the arguments make.
func (l *Logrotate) text() string {
	var b strings.Builder
	for _, p := range l.Paths {
		if strings.ContainsAny(p, " \t'") {
			p = `"` + p + `"`
		}
		b.WriteString(p + "\n")
	}
	b.WriteString("{\n")
	for _, line := range l.lines() {
		b.WriteString("\t" + line + "\n")
	}
	return b.String() + "}\n"
}
