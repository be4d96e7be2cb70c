package mount

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

	"golang.org/x/sys/unix"

	"muster/host"
)

// mounted is what is mounted at a place, as mountinfo of proc(5) has it, or as a plan leaves it.
type mounted struct {
	Source  string `json:"source"`
	Type    string `json:"type"`
	Options string `json:"options"` // of the place and of the file system
	Device  string `json:"device,omitempty"`
	// Pending is what a planned change leaves: exactly what a task wants.
	Pending bool `json:"pending,omitempty"`
}

// table reads what is mounted, by the place; the one on top where several are.
func table() (map[string]*mounted, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	all := map[string]*mounted{}
	for line := range strings.Lines(string(data)) {
		before, after, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 6 || len(g) < 2 {
			continue
		}
		options := f[5]
		if len(g) > 2 {
			options += "," + g[2]
		}
		all[unescape.Replace(f[4])] = &mounted{Device: f[2], Type: g[0], Source: unescape.Replace(g[1]), Options: options}
	}
	return all, nil
}

// now is what is mounted at the place; nil where nothing is.
func (m *Mount) now(v *host.View) (*mounted, error) {
	return host.Read(v, m.key(), func() (*mounted, error) {
		if m.swap() {
			return m.swapping(v)
		}
		all, err := host.Once(v, "mounts", table)
		return all[m.Path], err
	})
}

// swapping is the swap where it is in use.
func (m *Mount) swapping(v *host.View) (*mounted, error) {
	path, err := m.node(v)
	if err != nil || path == "" {
		return nil, err
	}
	data, err := os.ReadFile("/proc/swaps")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && unescape.Replace(f[0]) == path {
			return &mounted{Source: path, Type: "swap"}, nil
		}
	}
	return nil, err
}

// node is the path of what a device names, "" where it isn't there.
func (m *Mount) node(v *host.View) (string, error) {
	name := m.Device
	if tag, value, ok := strings.Cut(name, "="); ok && !filepath.IsAbs(name) {
		folder, known := map[string]string{"UUID": "by-uuid", "LABEL": "by-label", "PARTUUID": "by-partuuid", "PARTLABEL": "by-partlabel", "ID": "by-id"}[tag]
		if !known {
			return "", fmt.Errorf("%q is no device: it takes UUID=, LABEL=, PARTUUID=, PARTLABEL= or ID=", name)
		}
		name = "/dev/disk/" + folder + "/" + strings.Trim(value, `"`)
	}
	if !filepath.IsAbs(name) {
		return "", nil
	}
	info, err := v.Stat(name)
	if err != nil || !info.Exists() {
		return "", err
	}
	return v.Follow(name)
}

// shows reports whether what is mounted is what the task names.
func (m *Mount) shows(v *host.View, now *mounted) (bool, error) {
	if now.Pending {
		return now.Source == m.device() && now.Type == m.fsType(), nil
	}
	if m.bind() {
		var a, b unix.Stat_t
		if unix.Stat(m.Device, &a) != nil || unix.Stat(m.Path, &b) != nil {
			return false, nil
		}
		return a.Dev == b.Dev && a.Ino == b.Ino, nil
	}
	if now.Type != m.Type && (m.Type != "nfs" || now.Type != "nfs4") && m.Type != "auto" {
		return false, nil
	}
	if virtual(m.Type) {
		return true, nil
	}
	path, err := m.node(v)
	if err != nil {
		return false, err
	}
	if path == "" { // of a server: "server:/export"
		return strings.TrimRight(now.Source, "/") == strings.TrimRight(m.Device, "/"), nil
	}
	if now.Source == path || now.Source == m.Device {
		return true, nil
	}
	var st unix.Stat_t
	if unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK && fmt.Sprintf("%d:%d", unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))) == now.Device {
		return true, nil
	}
	loop, err := os.ReadFile("/sys/block/" + filepath.Base(now.Source) + "/loop/backing_file")
	return err == nil && strings.TrimSpace(string(loop)) == path, nil
}

// opposite are options of a place that the kernel always shows, or shows by their absence.
func opposite() map[string]string {
	return map[string]string{"rw": "ro", "exec": "noexec", "suid": "nosuid", "dev": "nodev", "atime": "noatime", "diratime": "nodiratime"}
}

// differing are the options in which what is mounted isn't what the task wants, as far as the kernel tells.
func (m *Mount) differing(now *mounted) []string {
	have := strings.Split(now.Options, ",")
	if now.Pending {
		if want := strings.Join(m.options(), ","); want != now.Options {
			return []string{now.Options + " → " + want}
		}
		return nil
	}
	var list []string
	for _, o := range m.options() {
		name, value, valued := strings.Cut(o, "=")
		switch against, positive := opposite()[name]; {
		case positive && slices.Contains(have, against):
			list = append(list, against+" → "+name)
		case !positive && isNegative(name) && !slices.Contains(have, name):
			list = append(list, "→ "+name)
		case valued && name == "size" && m.Type == "tmpfs":
			for _, h := range have {
				if was, ok := strings.CutPrefix(h, "size="); ok && bytesOf(value) != 0 && bytesOf(was) != bytesOf(value) {
					list = append(list, "size="+was+" → size="+value)
				}
			}
		}
	}
	return list
}

func isNegative(name string) bool {
	for _, n := range opposite() {
		if n == name {
			return true
		}
	}
	return false
}

// bytesOf is a size of tmpfs(5) in bytes, in whole pages; 0 for a part of the memory.
func bytesOf(size string) int64 {
	shift, digits := 0, size
	if size != "" {
		if at := strings.IndexByte("kmg", size[len(size)-1]|0x20); at >= 0 {
			shift, digits = 10*(at+1), size[:len(size)-1]
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0
	}
	page := int64(os.Getpagesize())
	return (n<<shift + page - 1) / page * page
}

// Unmount takes a file system out of the tree, or swap out of use. It fails where it is busy.
type Unmount struct {
	Path string `json:"path"`
	Swap string `json:"swap,omitempty"` // the swap's device
	Was  string `json:"was"`

	key host.Key
}

// Type is "mount.unmount/1".
func (*Unmount) Type() string { return "mount.unmount/1" }

// Describe names the place, and what is mounted there.
func (u *Unmount) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: u.Path, Diff: "mounted: " + u.Was + " → nothing"}
	if u.Swap != "" {
		d.Target, d.Diff = u.Swap, "swap: in use → not in use"
	}
	return d
}

// Effects is the place, and all that shows there.
func (u *Unmount) Effects() []host.Effect {
	if u.Swap != "" {
		return []host.Effect{host.Gone(u.key)}
	}
	return append([]host.Effect{host.Gone(u.key)}, shown(u.Path)...)
}

// shown are the files that a mount, or its end, brings into sight.
func shown(path string) []host.Effect {
	return []host.Effect{host.Open(host.Files, path), host.Begins(host.Files, path+"/")}
}

// Apply unmounts, and names those who keep it from that.
func (u *Unmount) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	argv := []string{"umount", "--", u.Path}
	if u.Swap != "" {
		argv = []string{"swapoff", "--", u.Swap}
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	_, err := h.Run(ctx, host.Command{Argv: argv, Env: []string{"LC_ALL=C"}})
	if err == nil {
		return host.Result{}, h.At("unmounted")
	}
	if users := users(u.Path); u.Swap == "" && len(users) > 0 {
		err = fmt.Errorf("%s is in use by %s, and is still mounted: end them first, it isn't unmounted by force: %w", u.Path, strings.Join(users, ", "), err)
	} else if u.Swap == "" {
		err = fmt.Errorf("%s is still mounted: %w", u.Path, err)
	}
	return host.Result{}, err
}

// usersMost is how many of those who use a file system are named.
const usersMost = 5

// users are the processes that keep a file system from being unmounted, and the mounts below it.
func users(path string) []string {
	var list []string
	inside := func(p string) bool { return p == path || strings.HasPrefix(p, path+"/") }
	if all, err := table(); err == nil {
		for at := range all {
			if at != path && inside(at) {
				list = append(list, "the mount at "+at)
			}
		}
		slices.Sort(list)
	}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range processes {
		links := []string{p + "/cwd", p + "/root", p + "/exe"}
		if fds, err := os.ReadDir(p + "/fd"); err == nil {
			for _, fd := range fds {
				links = append(links, p+"/fd/"+fd.Name())
			}
		}
		if slices.ContainsFunc(links, func(l string) bool { to, err := os.Readlink(l); return err == nil && inside(to) }) {
			name, _ := os.ReadFile(p + "/comm")
			list = append(list, fmt.Sprintf("process %s (%s)", filepath.Base(p), strings.TrimSpace(string(name))))
		}
		if len(list) >= usersMost {
			return append(list[:usersMost], "others")
		}
	}
	return list
}

// missing reports whether an error is that nothing is there.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
