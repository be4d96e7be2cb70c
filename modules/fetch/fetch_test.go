package fetch_test

import (
	"testing"

	"muster/modules/fetch"
	"muster/modules/file"
	"muster/modules/modulestest"
)

func TestConformance(t *testing.T) {
	modulestest.Run(t, append(fetch.Kinds(), file.Kinds()...)...)
}
