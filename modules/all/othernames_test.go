package all

import (
	"testing"

	"muster/modules"
)

func TestKindsOfOtherToolsAreNamed(t *testing.T) {
	var kinds []string
	for _, k := range Registry().Kinds() {
		kinds = append(kinds, k.Name)
	}
	for name, want := range map[string]string{"apt": "package", "copy": "file", "shell": "command", "systemd": "service", "debug": "print", "packge": "package", "unarchive": "archive", "pip": ""} {
		if got := modules.NearestKind(name, kinds); got != want {
			t.Errorf("%s is %q here, not %q", name, got, want)
		}
	}
}
