package mount

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"muster/host"
	"muster/modules"
)

// helpers are the programs that mount(8) needs for some types, with their packages in Debian.
func helpers() map[string]string {
	return map[string]string{"nfs": "nfs-common", "nfs4": "nfs-common", "cifs": "cifs-utils", "fuse.sshfs": "sshfs"}
}

// Plan compares what is mounted, and the line of /etc/fstab: what is live comes first, so that a line that doesn't
// work never lands.
func (m *Mount) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	if m.State != "present" {
		changes, err := m.live(ctx, v)
		if err != nil {
			return plan, err
		}
		plan.Changes = changes
	}
	file, err := v.Rewrite(ctx, fstab, m.edit)
	if err != nil {
		return modules.Plan{}, err
	}
	plan.Changes = append(plan.Changes, file...)
	if len(file) > 0 {
		running, err := v.Stat("/run/systemd/system")
		if err != nil {
			return modules.Plan{}, err
		}
		if running.Exists() {
			plan.Changes = append(plan.Changes, &host.RunProgram{
				Argv: []string{"systemctl", "--no-ask-password", "daemon-reload"},
				Does: host.Description{Action: host.Refresh, Target: "systemd", Impact: "reads " + fstab + " again"},
			})
		}
	}
	if len(plan.Changes) > 0 && !host.IsRoot() {
		return modules.Plan{}, errors.New(`only root can mount: give the task "become = true"`)
	}
	return plan, nil
}

// live plans what is mounted.
func (m *Mount) live(ctx context.Context, v *host.View) ([]host.Change, error) {
	now, err := m.now(v)
	if err != nil {
		return nil, err
	}
	if m.State == "absent" {
		if now == nil {
			return nil, nil
		}
		return []host.Change{m.unmount(now)}, nil
	}
	var changes []host.Change
	if now != nil {
		same, err := m.shows(v, now)
		if err != nil {
			return nil, err
		}
		if same {
			return m.again(now), nil
		}
		if m.Path == "/" {
			return nil, fmt.Errorf("%s is mounted at /, and not %s: the root can't be replaced while the host runs", now.Source, m.device())
		}
		changes = append(changes, m.unmount(now))
	}
	if err := m.there(v); err != nil {
		return nil, err
	}
	mount := m.program()
	if !m.swap() {
		made, hidden, err := m.place(ctx, v, now != nil)
		if err != nil {
			return nil, err
		}
		changes = append(changes, made...)
		mount.Does.Impact = hidden
	}
	return append(changes, mount), nil
}

func (m *Mount) unmount(now *mounted) host.Change {
	u := &Unmount{Path: m.Path, Was: now.Source + " (" + now.Type + ")", key: m.key()}
	if m.swap() {
		u.Swap = m.Device
	}
	return u
}

// again plans other options for what is mounted already.
func (m *Mount) again(now *mounted) []host.Change {
	differing := m.differing(now)
	if len(differing) == 0 || m.swap() {
		return nil
	}
	options := m.line().options
	remount := "remount," + options
	if m.bind() {
		remount = "remount,bind," + strings.Join(without(m.options(), "bind", "rbind"), ",")
	}
	return []host.Change{&host.RunProgram{
		Argv: []string{"mount", "-o", strings.TrimSuffix(remount, ","), "--", m.Path}, Env: []string{"LC_ALL=C"},
		Does:   host.Description{Action: host.Update, Target: m.Path, Diff: "options: " + strings.Join(differing, ", "), Impact: "mounted again with other options, where it is"},
		Leaves: []host.Effect{host.Is(m.key(), m.after())},
	}}
}

func without(list []string, names ...string) []string {
	var kept []string
	for _, o := range list {
		if o != names[0] && o != names[1] {
			kept = append(kept, o)
		}
	}
	return kept
}

// after is what stands there once the task has mounted it.
func (m *Mount) after() mounted {
	return mounted{Source: m.device(), Type: m.fsType(), Options: strings.Join(m.options(), ","), Pending: true}
}

// program mounts what the task names.
func (m *Mount) program() *host.RunProgram {
	if m.swap() {
		argv := []string{"swapon"}
		if len(m.Options) > 0 {
			argv = append(argv, "-o", m.line().options)
		}
		return &host.RunProgram{
			Argv: append(argv, "--", m.Device), Env: []string{"LC_ALL=C"}, UndoArgv: []string{"swapoff", "--", m.Device},
			Does:   host.Description{Action: host.Update, Target: m.Device, Diff: "swap: not in use → in use"},
			Leaves: []host.Effect{host.Is(m.key(), m.after())},
		}
	}
	argv := []string{"mount"}
	if typ := m.fsType(); typ != "none" {
		argv = append(argv, "-t", typ)
	}
	argv = append(argv, "-o", m.line().options, "--", m.device(), m.Path)
	return &host.RunProgram{
		Argv: argv, Env: []string{"LC_ALL=C"}, UndoArgv: []string{"umount", "--", m.Path},
		Does:   host.Description{Action: host.Update, Target: m.Path, Diff: "mounted: nothing → " + m.device() + " (" + m.fsType() + ")"},
		Leaves: append([]host.Effect{host.Is(m.key(), m.after())}, shown(m.Path)...),
	}
}

// there returns an error where what is to be mounted isn't on the host, or nothing can mount it.
func (m *Mount) there(v *host.View) error {
	if pkg := helpers()[m.Type]; pkg != "" {
		for _, dir := range []string{"/sbin", "/usr/sbin"} {
			info, err := v.Stat(dir + "/mount." + m.Type)
			if err != nil || info.Exists() {
				return err
			}
		}
		return fmt.Errorf("this host can't mount %s: there is no mount.%s; install it in an earlier task, task \"package\" %q {}", m.Type, m.Type, pkg)
	}
	if virtual(m.Type) {
		return nil
	}
	path, err := m.node(v)
	if err != nil || path != "" {
		return err
	}
	if filepath.IsAbs(m.Device) || strings.Contains(m.Device, "=") {
		return fmt.Errorf("there is no %s on this host: nothing is formatted or made by this kind", m.Device)
	}
	return nil
}

// place plans the folder, and says what is hidden in it.
func (m *Mount) place(_ context.Context, v *host.View, under bool) ([]host.Change, string, error) {
	info, err := v.Stat(m.Path)
	if err != nil && !missing(err) {
		return nil, "", err
	}
	if !info.Exists() {
		if m.bind() {
			if source, err := v.Stat(m.Device); err != nil {
				return nil, "", err
			} else if source.Type != host.Directory {
				return nil, "", fmt.Errorf("%s is a %s, which is bound to one alone: make %s in an earlier task", m.Device, source.Type, m.Path)
			}
		}
		parent, err := v.Stat(filepath.Dir(m.Path))
		if err != nil {
			return nil, "", err
		}
		if parent.Type != host.Directory {
			return nil, "", fmt.Errorf("the directory %s doesn't exist: add a directory task before this one", filepath.Dir(m.Path))
		}
		mode := host.Mode(0o755)
		return []host.Change{&host.MakeDir{Path: m.Path, Attr: host.Attr{Mode: &mode}, After: host.FileInfo{Type: host.Directory, Mode: mode, Owner: "root", Group: "root"}}}, "", nil
	}
	if info.Type != host.Directory || under {
		return nil, "", nil
	}
	names, err := v.ReadDir(m.Path)
	if err != nil || len(names) == 0 {
		return nil, "", err
	}
	return nil, fmt.Sprintf("hides what is in the folder, %d of them (%s)", len(names), names[0]), nil
}
