package account

import (
	"testing"

	"muster/modules/file"
	"muster/modules/modulestest"
)

func TestConformance(t *testing.T) {
	modulestest.Run(t, append(Kinds(), file.Kinds()...)...)
}
