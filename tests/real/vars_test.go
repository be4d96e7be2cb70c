package real

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var varsMade struct {
	sync.Once
	file string
	err  error
}

// siteVars is the file of passwords and certificates that playbooks/site.hcl is given: the
// same for all tests, since they share hosts.
func siteVars(t *testing.T) string {
	t.Helper()
	varsMade.Do(func() {
		var text []byte
		if text, varsMade.err = exec.Command("../site-vars.sh").Output(); varsMade.err != nil {
			return
		}
		var dir string
		if dir, varsMade.err = os.MkdirTemp("", "muster-real"); varsMade.err != nil {
			return
		}
		varsMade.file = filepath.Join(dir, "lab.vars.hcl")
		varsMade.err = os.WriteFile(varsMade.file, text, 0o600)
	})
	if varsMade.err != nil {
		t.Fatal(varsMade.err)
	}
	return varsMade.file
}
