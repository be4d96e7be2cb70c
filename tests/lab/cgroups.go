package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// hierarchies returns where control groups are mounted: one folder where there
// is v2 alone, else one for each v1 controller, systemd's own, and v2 beside them.
func hierarchies() ([]string, error) {
	all, err := readMounts()
	if err != nil {
		return nil, err
	}
	var points []string
	for _, m := range all {
		inside := strings.HasPrefix(m.point, "/sys/fs/cgroup")
		if inside && (m.fstype == "cgroup" || m.fstype == "cgroup2") && !slices.Contains(points, m.point) {
			points = append(points, m.point)
		}
	}
	if len(points) == 0 {
		return nil, errors.New("the lab needs control groups, and none are mounted on /sys/fs/cgroup")
	}
	return points, nil
}

// cgroup returns the lab's own folder in a hierarchy.
func (p paths) cgroup(hierarchy string) string {
	return filepath.Join(hierarchy, "mlab-"+p.id)
}

// makeCgroups makes the control groups of the lab and, below, those of each
// name, and returns by name the files to which a process writes its PID to enter.
func makeCgroups(p paths, names []string) (map[string][]string, error) {
	points, err := hierarchies()
	if err != nil {
		return nil, err
	}
	enter := map[string][]string{}
	for _, point := range points {
		top := p.cgroup(point)
		for _, dir := range append([]string{""}, names...) {
			dir := filepath.Join(top, dir)
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, fmt.Errorf("making a control group: %w", err)
			}
			// A v1 cpuset is born empty, and takes no process so.
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				inherit(filepath.Join(filepath.Dir(dir), file), filepath.Join(dir, file))
			}
		}
		enableControllers(top)
		for _, n := range names {
			enter[n] = append(enter[n], filepath.Join(top, n, "cgroup.procs"))
		}
	}
	return enter, nil
}

// inherit copies a v1 cpuset's value. Under v2 the files mean otherwise, and an empty one is right.
func inherit(from, to string) {
	have, err := os.ReadFile(to)
	if err != nil || strings.TrimSpace(string(have)) != "" {
		return
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(to), "cgroup.controllers")); err == nil {
		return
	}
	if value, err := os.ReadFile(from); err == nil {
		_ = os.WriteFile(to, value, 0o644)
	}
}

// enableControllers gives the groups below a v2 group all controllers it has;
// one that can't be had is done without.
func enableControllers(dir string) {
	have, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return // v1
	}
	for _, c := range strings.Fields(string(have)) {
		_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0o644)
	}
}

// cgroupProcesses returns what runs in a control group of the lab's: in name's
// alone, or in all for "".
func cgroupProcesses(p paths, name string) []process {
	points, _ := hierarchies()
	seen := map[int]bool{}
	var found []process
	for _, point := range points {
		_ = filepath.WalkDir(filepath.Join(p.cgroup(point), name), func(dir string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return nil
			}
			b, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			for _, f := range strings.Fields(string(b)) {
				pid, err := strconv.Atoi(f)
				if err != nil || pid <= 1 || seen[pid] {
					continue
				}
				seen[pid] = true
				if id, err := identify(pid); err == nil {
					found = append(found, id)
				}
			}
			return nil
		})
	}
	return found
}

// removeCgroups removes the lab's control groups: those below name's, which
// stay itself, or all for "".
func removeCgroups(p paths, name string) error {
	points, err := hierarchies()
	if err != nil {
		return err
	}
	var problems []error
	for _, point := range points {
		top := filepath.Join(p.cgroup(point), name)
		var dirs []string
		_ = filepath.WalkDir(top, func(dir string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && (name == "" || dir != top) {
				dirs = append(dirs, dir)
			}
			return nil
		})
		slices.Reverse(dirs) // children first
		for _, dir := range dirs {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				problems = append(problems, fmt.Errorf("removing a control group: %w", err))
			}
		}
	}
	return errors.Join(problems...)
}
