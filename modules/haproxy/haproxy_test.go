package haproxy

import (
	"path/filepath"
	"slices"
	"testing"

	"muster/modules/file"
	"muster/modules/modulestest"
)

// The cases take a host with HAProxy, busybox, socat and openssl: tests/real.sh makes one.
func TestConformance(t *testing.T) {
	for name, script := range map[string]string{"HAPROXY": "testdata/haproxy.sh", "SERVER": "testdata/server.sh"} {
		path, err := filepath.Abs(script)
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, path)
	}
	modulestest.Run(t, slices.Concat(Kinds(), file.Kinds())...)
}
