package account

import (
	"testing"

	"muster/modules/modulestest"
)

func TestConformance(t *testing.T) { modulestest.Run(t, Kinds()...) }
