package hosts_test

import (
	"testing"

	"muster/modules/file"
	"muster/modules/hosts"
	"muster/modules/modulestest"
)

func TestConformance(t *testing.T) {
	modulestest.Run(t, append(hosts.Kinds(), file.Kinds()...)...)
}
