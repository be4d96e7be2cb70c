package git_test

import (
	"testing"

	"muster/modules/git"
	"muster/modules/modulestest"
)

func TestConformance(t *testing.T) { modulestest.Run(t, git.Kinds()...) }
