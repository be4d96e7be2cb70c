package mysql

import (
	"path/filepath"
	"slices"
	"testing"

	"muster/modules/modulestest"
	"muster/modules/systemd"
)

// The cases take a host with Debian's mariadb-server: tests/real.sh makes one.
func TestConformance(t *testing.T) {
	path, err := filepath.Abs("testdata/mariadb.sh")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("MARIADB", path)
	modulestest.Run(t, slices.Concat(Kinds(), systemd.Kinds())...)
}
