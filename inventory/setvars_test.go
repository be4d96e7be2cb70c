package inventory_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/inventory"
)

func TestSetVarsAreThePlacesInTheInventorysFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.hcl": "bastion \"nat\" { vars = { n = 1 } }\ngroup \"g\" {\n  vars = { v = 1, w = 2 }\n  host \"h\" { vars = { v = 3 } }\n}\ngroup \"empty\" { vars = { e = 1 } }\n",
		"b.hcl": "source \"program\" \"p\" { command = [\"./list\"] }\n",
		"list":  "#!/bin/sh\necho '{\"g\": {\"hosts\": [\"i\"], \"vars\": {\"listed\": 1}}}'\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, static := range []bool{true, false} {
		inv, diags := inventory.Load(t.Context(), dir, inventory.Options{Static: static, CacheDir: t.TempDir()})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		var got []string
		for _, v := range inv.SetVars() {
			got = append(got, fmt.Sprintf("%s %d:%d", v.Name, v.At.Start.Line, v.At.Start.Column))
		}
		want := []string{"n 1:26", "v 3:12", "w 3:19", "e 6:26", "v 4:23"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("static %v: %s", static, diff)
		}
	}
}
