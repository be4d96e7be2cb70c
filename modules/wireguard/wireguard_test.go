package wireguard_test

import (
	"slices"
	"testing"

	"muster/modules/modulestest"
	"muster/modules/wireguard"
)

func TestConformance(t *testing.T) {
	modulestest.Run(t, slices.Concat(wireguard.Kinds())...)
}
