package haproxy

import (
	"path/filepath"
	"testing"

	"muster/modules/modulestest"
)

// The cases take a host with HAProxy, socat and busybox: tests/real.sh makes one.
func TestConformance(t *testing.T) {
	shared, err := filepath.Abs("testdata/server.sh")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SERVER", shared)
	modulestest.Run(t, Kinds()...)
}
