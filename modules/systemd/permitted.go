package systemd

import (
	"fmt"

	"golang.org/x/sys/unix"

	"muster/host"
)

// authority is where D-Bus finds polkit, which systemd asks about users who aren't root.
const authority = "/usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service"

// permitted returns why whoever acts may not alter a unit; nil where they may, or where
// only polkit's rules tell, which nobody but systemd can ask about a unit.
func (m manager) permitted(v *host.View, unit string) error {
	if m.user || host.IsRoot() {
		return nil
	}
	asked, err := v.Lstat(authority)
	if err != nil || asked.Exists() {
		return err
	}
	return &host.Obstacle{Path: authority, Err: unix.EACCES, Text: fmt.Sprintf("permission denied: only root can alter %s, since no polkit on this host could let another user: let root do it (become = true), or choose the user's own units (scope = \"user\")", unit)}
}
