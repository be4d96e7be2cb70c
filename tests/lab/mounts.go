package lab

import (
	"bufio"
	"io"
	"os"
	"slices"
	"strings"
)

// mount is one line of /proc/self/mountinfo (proc(5)).
type mount struct {
	point   string
	fstype  string
	options string // of the file system, where cgroup v1 names its controllers
}

// parseMounts reads the format of /proc/self/mountinfo.
func parseMounts(r io.Reader) ([]mount, error) {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var ms []mount
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // an overlay's options can be long
	for lines.Scan() {
		// … ID PARENT DEV ROOT POINT OPTIONS [TAG…] - FSTYPE SOURCE SUPEROPTIONS
		left, right, ok := strings.Cut(lines.Text(), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 3 {
			continue
		}
		ms = append(ms, mount{point: unescape.Replace(l[4]), fstype: r[0], options: r[2]})
	}
	return ms, lines.Err()
}

func readMounts() ([]mount, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parseMounts(file)
}

// mountsBelow returns the mount points at dir and below, the last mounted first.
func mountsBelow(dir string) ([]string, error) {
	all, err := readMounts()
	if err != nil {
		return nil, err
	}
	var points []string
	for _, m := range all {
		if m.point == dir || strings.HasPrefix(m.point, dir+"/") {
			points = append(points, m.point)
		}
	}
	slices.Reverse(points)
	return points, nil
}
