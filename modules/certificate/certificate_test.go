package certificate

import (
	"testing"

	"muster/modules/modulestest"
)

func TestConformance(t *testing.T) { modulestest.Run(t, Kinds()...) }
