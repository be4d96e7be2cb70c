package mysql

import (
	"os"
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

// These take a host with MySQL: tests/real.sh makes one, of Debian's sid.
func TestMySQL(t *testing.T) {
	if _, err := os.Stat("/usr/sbin/mariadbd"); err == nil {
		t.Skip("this host's server is MariaDB")
	}
	path, err := filepath.Abs("testdata/mysql/mysql.sh")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("MYSQL", path)
	modulestest.RunFolder(t, "testdata/mysql", slices.Concat(Kinds(), systemd.Kinds())...)
}
