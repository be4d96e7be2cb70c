package git_test

import (
	"path/filepath"
	"testing"

	"muster/modules/git"
	"muster/modules/modulestest"
)

func TestConformance(t *testing.T) {
	// Git takes a submodule from a folder only where its user says so.
	home, err := filepath.Abs("testdata/home")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	modulestest.Run(t, git.Kinds()...)
}
