package redis

import (
	"path/filepath"
	"slices"
	"testing"

	"muster/modules/file"
	"muster/modules/modulestest"
)

// The cases take a host with Debian's redis-server: tests/real.sh makes one.
func TestConformance(t *testing.T) {
	path, err := filepath.Abs("testdata/redis.sh")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("REDIS", path)
	modulestest.Run(t, slices.Concat(Kinds(), file.Kinds())...)
}
