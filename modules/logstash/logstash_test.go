package logstash

import (
	"path/filepath"
	"slices"
	"testing"

	"muster/modules/file"
	"muster/modules/modulestest"
)

// The cases take a host with the stand-in for Logstash: tests/real.sh makes one.
func TestConformance(t *testing.T) {
	path, err := filepath.Abs("testdata/logstash.sh")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("LOGSTASH", path)
	modulestest.Run(t, slices.Concat(Kinds(), file.Kinds())...)
}
