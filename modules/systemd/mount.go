package systemd

import (
	"strconv"
	"strings"

	"muster/host"
)

// mounts are the effects of starting a unit that mounts something: what lies there comes
// into sight, and nobody can tell before what that is.
func (m manager) mounts(unit string) []host.Effect {
	for _, kind := range []string{".mount", ".automount"} {
		name, mounts := strings.CutSuffix(unit, kind)
		if at := mountPoint(name); mounts && !m.user && at != "/" {
			return []host.Effect{host.Begins(host.Files, at+"/")}
		}
	}
	return nil
}

// mountPoint is the path that the name of a unit, without its type, stands for:
// systemd-escape(1).
func mountPoint(name string) string {
	path := []byte{'/'}
	for i := 0; i < len(name); i++ {
		switch {
		case name == "-":
		case name[i] == '-':
			path = append(path, '/')
		case strings.HasPrefix(name[i:], `\x`) && i+4 <= len(name):
			if b, err := strconv.ParseUint(name[i+2:i+4], 16, 8); err == nil {
				path = append(path, byte(b))
				i += 3
			}
		default:
			path = append(path, name[i])
		}
	}
	return string(path)
}
