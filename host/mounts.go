package host

import (
	"os"
	"strings"
)

// mountPoints lists the places where file systems are mounted, those mounted last at
// the end; nothing where the table can't be read.
func mountPoints() []string {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	// proc(5): space, tab, newline and backslash are written in octal.
	plain := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var list []string
	for line := range strings.SplitSeq(string(table), "\n") {
		if f := strings.Fields(line); len(f) > 4 {
			list = append(list, plain.Replace(f[4]))
		}
	}
	return list
}

// below reports whether a path is a directory or lies in it.
func below(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// MountedBelow returns a place at or below path where a file system is
// mounted, "" if there is none.
func MountedBelow(path string) string {
	for _, at := range mountPoints() {
		if below(at, path) {
			return at
		}
	}
	return ""
}

// mountedAt reports whether something is mounted at the very path.
func mountedAt(path string) bool {
	for _, at := range mountPoints() {
		if at == path {
			return true
		}
	}
	return false
}

// mountOf returns where the file system is mounted that a path lies on.
func mountOf(path string) string {
	found := "/"
	for _, at := range mountPoints() {
		if below(path, at) && len(at) >= len(found) {
			found = at
		}
	}
	return found
}
