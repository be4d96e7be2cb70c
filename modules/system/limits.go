package system

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"muster/host"
	"muster/modules"
)

// Limits is what the sessions of some users may use: a file of its own in /etc/security/limits.d.
//
// It counts for sessions that begin later, by login, su, sudo or cron. It doesn't for services of systemd:
// a unit has limits of its own (LimitNOFILE=).
type Limits struct {
	// The file's name, without ".conf". Of two files the later name wins.
	Name string `arg:"name,key,required"`
	// Whom they are for: a user, "@group", "*" for all but root, "%group" for maxlogins of a
	// group as a whole, or a range of numbers, "1000:1999".
	Domain string `arg:"domain"`
	// Soft limits, which a user may raise up to the hard ones: { nofile = 65536 }. The names are
	// those of limits.conf(5).
	Soft map[string]string `arg:"soft"`
	// Hard limits, which nobody but root may raise.
	Hard map[string]string `arg:"hard"`
	// Both in one.
	Both map[string]string `arg:"both"`
	// Whether the file is there at all.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

const limitsFolder = "/etc/security/limits.d"

var (
	limitsForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	domainForm = regexp.MustCompile(`^(\*|%|[@%]?[A-Za-z0-9_][A-Za-z0-9_.-]*\$?|@?[0-9]*:[0-9]*)$`)
)

// limitItems are the things that are limited: limits.conf(5).
func limitItems() []string {
	return []string{"as", "core", "cpu", "data", "fsize", "locks", "maxlogins", "maxsyslogins", "memlock", "msgqueue", "nice", "nofile", "nonewprivs", "nproc", "priority", "rss", "rtprio", "sigpending", "stack"}
}

// Check refuses what pam_limits would pass over without a word.
func (l *Limits) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, path, summary, format string, a ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: fmt.Sprintf(format, a...)})
		}
	}
	switch {
	case !limitsForm.MatchString(l.Name):
		fail("name", "", "Wrong value", `%q is no name for a file in %s: it takes letters, digits, "_", "-" and ".", such as "50-app".`, l.Name, limitsFolder)
	case strings.HasSuffix(l.Name, ".conf"):
		fail("name", "", "Wrong value", `Leave out the ending: %q is the file %s/%s.`, strings.TrimSuffix(l.Name, ".conf"), limitsFolder, l.Name)
	}
	if l.Domain != "" && (!domainForm.MatchString(l.Domain) || l.Domain == ":" || l.Domain == "@:") {
		fail("domain", "", "Wrong value", `%q is nobody: it takes a user, "@group", "*", "%%group" or a range of numbers such as "1000:1999".`, l.Domain)
	}
	given := len(l.Soft)+len(l.Hard)+len(l.Both) > 0
	switch {
	case l.State == "absent" && (given || l.Domain != ""):
		fail("state", "", "Conflicting arguments", "A file that is to be absent limits nobody.")
	case l.State == "absent" || unknown("state"):
	case l.Domain == "":
		fail("domain", "", "Missing argument", `Say whom the limits are for: a user, "@group", "*".`)
	case !given && !unknown("soft") && !unknown("hard") && !unknown("both"):
		fail("both", "", "Missing argument", `Give limits: "soft", "hard" or "both".`)
	}
	for _, set := range []struct {
		arg  string
		list map[string]string
	}{{"soft", l.Soft}, {"hard", l.Hard}, {"both", l.Both}} {
		for _, item := range slices.Sorted(maps.Keys(set.list)) {
			at := fmt.Sprintf("[%q]", item)
			if !slices.Contains(limitItems(), item) {
				fail(set.arg, at, "Wrong limit", "%q is no limit: limits.conf(5) has %s.", item, strings.Join(limitItems(), ", "))
			} else if detail := wrongLimit(item, set.list[item]); detail != "" {
				fail(set.arg, at, "Wrong value", "%s", detail)
			}
			if _, twice := l.Both[item]; twice && set.arg != "both" {
				fail(set.arg, at, "Conflicting arguments", `%s stands in "both", too.`, item)
			}
		}
	}
	for _, item := range slices.Sorted(maps.Keys(l.Soft)) {
		soft, hard := limitOf(l.Soft[item]), limitOf(l.Hard[item])
		if l.Hard[item] != "" && item != "nice" && hard >= 0 && (soft < 0 || soft > hard) {
			fail("soft", fmt.Sprintf("[%q]", item), "Wrong value", "%s is more than the hard limit, %s.", l.Soft[item], l.Hard[item])
		}
	}
	return errs
}

// limitOf is a limit's number; -1 for none.
func limitOf(value string) int64 {
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return n
	}
	return -1
}

// wrongLimit is what is wrong with a value, "" for nothing.
func wrongLimit(item, value string) string {
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case (item == "nice" || item == "priority") && (err != nil || n < -20 || n > 20):
		return fmt.Sprintf("%q is no priority: %s takes -20 to 19.", value, item)
	case item == "nice" || item == "priority":
		return ""
	case item == "nonewprivs" && value != "0" && value != "1":
		return fmt.Sprintf("%q is none of 0 and 1.", value)
	case value == "unlimited" || value == "infinity" || err == nil && n >= -1:
		return ""
	}
	return fmt.Sprintf(`%q is no limit: it takes a whole number, or "unlimited".`, value)
}

func (l *Limits) path() string { return limitsFolder + "/" + l.Name + ".conf" }

// May is the file.
func (l *Limits) May() []host.Effect {
	if l.Name == "" {
		return []host.Effect{host.Open(host.Files, "")}
	}
	return []host.Effect{host.Open(host.Files, l.path())}
}

// text is the file that the arguments make.
func (l *Limits) text() string {
	var b strings.Builder
	for _, set := range []struct {
		kind string
		list map[string]string
	}{{"soft", l.Soft}, {"hard", l.Hard}, {"-", l.Both}} {
		for _, item := range slices.Sorted(maps.Keys(set.list)) {
			fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", l.Domain, set.kind, item, set.list[item])
		}
	}
	return b.String()
}

// Plan compares the file.
func (l *Limits) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	var err error
	if l.State == "absent" {
		plan.Changes, err = gone(ctx, v, l.path())
		return plan, err
	}
	if err := l.somebody(ctx, v); err != nil {
		return plan, err
	}
	folder, err := v.Stat(limitsFolder)
	if err != nil {
		return plan, err
	}
	if folder.Type != host.Directory {
		return plan, fmt.Errorf("there is no %s on this host: nothing would read limits there (PAM's pam_limits does)", limitsFolder)
	}
	plan.Changes, err = whole{path: l.path(), text: l.text()}.changes(ctx, v)
	return plan, err
}

// somebody returns an error where the limits are for a user or group that isn't there: they
// would count for nobody.
func (l *Limits) somebody(ctx context.Context, v *host.View) error {
	if strings.ContainsAny(l.Domain, "*:") || l.Domain == "%" {
		return nil
	}
	if name := strings.TrimLeft(l.Domain, "@%"); name != l.Domain {
		group, err := v.Group(ctx, name)
		if err == nil && group == nil {
			err = fmt.Errorf("there is no group %s on this host: make it in an earlier task, or the limits are nobody's", name)
		}
		return err
	}
	user, err := v.User(ctx, l.Domain)
	if err == nil && user == nil {
		err = fmt.Errorf("there is no user %s on this host: make it in an earlier task, or the limits are nobody's", l.Domain)
	}
	return err
}
