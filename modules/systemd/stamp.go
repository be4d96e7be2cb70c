package systemd

import (
	"fmt"
	"os"
	"path/filepath"

	"muster/host"
)

// stamp is what the processes of one invocation of a unit have loaded: sums
// by the path, folder or pattern that names them in a task.
type stamp struct {
	Invocation string            `json:"invocation"`
	Restart    map[string]string `json:"restart,omitempty"`
	Reload     map[string]string `json:"reload,omitempty"`
}

func (m manager) stampPath(unit string) string {
	dir := "/run/muster/stamps"
	if m.user || !host.IsRoot() {
		dir = fmt.Sprintf("/run/user/%d/muster/stamps", os.Geteuid())
	}
	return filepath.Join(dir, "unit-"+unit)
}

// readStamp returns the stamp of a unit, nil if there is none that can be read.
func (m manager) readStamp(unit string) *stamp {
	data, err := os.ReadFile(m.stampPath(unit))
	s := &stamp{}
	if err != nil || host.Unmarshal(data, s) != nil {
		return nil
	}
	return s
}

func (m manager) writeStamp(unit string, s *stamp) error {
	path := m.stampPath(unit)
	d, err := host.MakeDirs(filepath.Dir(path), 0o700)
	if err != nil {
		return err
	}
	d.Close()
	data, err := host.Marshal(s)
	if err != nil {
		return err
	}
	if err := host.Put(path, data, 0o600); err != nil {
		return fmt.Errorf("noting what %s has loaded: %w", unit, err)
	}
	return nil
}
