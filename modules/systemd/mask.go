package systemd

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"muster/host"
)

// What systemd says of a unit that isn't there, and of one that is masked until
// the next boot.
const (
	notFound      = "not-found"
	maskedRuntime = "masked-runtime"
)

// A mask is a link to /dev/null in the place of a unit's file: in the folder of
// those who administer the host, or until the next boot in /run. Systemd puts it
// nowhere else, and never over a file: systemctl(1), mask.
const runtimeDir = "/run/systemd/system"

// maskOf returns the path of the mask that a unit has, or would get.
func (m manager) maskOf(u *Unit) string {
	dir := unitDir
	switch {
	case m.user && u.File == maskedRuntime:
		dir = fmt.Sprintf("/run/user/%d/systemd/user", os.Geteuid())
	case m.user:
		dir = ".config/systemd/user"
		if own, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil {
			dir = filepath.Join(own.HomeDir, dir)
		}
	case u.File == maskedRuntime:
		dir = runtimeDir
	}
	return filepath.Join(dir, u.ID)
}

// maskLink is a mask as it stands in its folder.
func maskLink() host.FileInfo {
	name := host.UserName(uint32(os.Geteuid()))
	return host.FileInfo{Type: host.Symlink, Target: os.DevNull, Owner: name, Group: host.GroupName(uint32(os.Getegid()))}
}

// isMask reports whether what stands in a unit file's place is a mask.
func isMask(i host.FileInfo) bool { return i.Type == host.Symlink && i.Target == os.DevNull }

// behindMask returns the unit that u is another name of, where that one is
// masked; "" otherwise. Systemd doesn't follow a name to a mask: it shows a unit
// of its own that it can't load, and wants its files read again without end.
func (u *Unit) behindMask() string {
	if u == nil || u.File != "masked" && u.File != maskedRuntime || u.Fragment == "" {
		return ""
	}
	behind := filepath.Base(u.Fragment)
	if before, suffix, ok := strings.Cut(behind, "@."); ok { // the mask of a template is its instances'
		_, instance, _ := strings.Cut(strings.TrimSuffix(u.ID, "."+suffix), "@")
		behind = before + "@" + instance + "." + suffix
	}
	if behind == u.ID {
		return ""
	}
	return behind
}

// called is the unit as messages name it: with its own name, too, where the task
// gives another one.
func (p *planner) called() string {
	if p.unit.ID == p.name {
		return p.name
	}
	return fmt.Sprintf("%s (another name of %s)", p.name, p.unit.ID)
}

// losesName reports whether disabling the unit takes away the name that the task
// gives it: systemctl(1) removes every link to it in the folder of those who
// administer the host.
func (p *planner) losesName() (bool, error) {
	if p.unit.ID == p.name {
		return false, nil
	}
	link, err := p.v.Lstat(p.m.maskOf(&Unit{ID: p.name}))
	if err != nil && !isNotYet(err) {
		return false, err
	}
	return link.Type == host.Symlink, nil
}

// maskable returns an error where a file stands in the mask's place, as the host
// is or as earlier tasks will leave it. A package brings none there.
func (p *planner) maskable() error {
	at := p.m.maskOf(&Unit{ID: p.unit.ID})
	there, err := p.v.Lstat(at)
	switch {
	case err != nil && !isNotYet(err):
		return err
	case !there.Exists(), isMask(there):
		return nil
	}
	remove := fmt.Sprintf("a unit task %q with state = \"absent\"", p.unit.ID)
	if p.m.user {
		remove = fmt.Sprintf("a file task %q with state = \"absent\"", at)
	}
	return fmt.Errorf("%s can't be masked: the mask's place, %s, is taken by the unit's own file. "+
		"To keep it from starting, set state = \"stopped\" and enabled = false instead of masked; to be rid of the file, have %s before this one", p.name, at, remove)
}

// mask plans that a mask is put or taken off, which leaves a file too.
func (p *planner) mask(diff string, argv, undo []string, file host.Effect) {
	c := p.program(host.Description{Action: host.Update, Target: p.name, Diff: diff}, argv, undo)
	c.Leaves = append(c.Leaves, file)
}
