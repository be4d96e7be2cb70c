// Package bench makes the input of benchmarks.
package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Playbook writes site.hcl into dir, a playbook of n tasks with what playbooks
// are made of, and the template it reads. It needs hosts, and a group app.
func Playbook(dir string, n int) error {
	var b strings.Builder
	b.WriteString("variable \"image\" {\n  type    = string\n  default = \"app\"\n}\nlocals {\n  dir = \"/srv/${var.image}\"\n}\n")
	for i := range n {
		if i%1000 == 0 {
			if i > 0 {
				b.WriteString("}\n")
			}
			fmt.Fprintf(&b, "play \"p%d\" {\n  hosts = [\"all\"]\n  become = true\n", i/1000)
		}
		switch i % 5 {
		case 0:
			fmt.Fprintf(&b, "  task \"file\" \"/etc/f%d\" {\n    content = \"x ${var.image} on ${host.name}\\n\"\n    mode    = \"0644\"\n    owner   = \"root\"\n  }\n", i)
		case 1:
			fmt.Fprintf(&b, "  task \"package\" \"p%d\" {\n    state = \"latest\"\n    tags  = [\"packages\"]\n  }\n", i)
		case 2:
			fmt.Fprintf(&b, "  task \"service\" \"s%d\" {\n    enabled    = true\n    restart_on = [\"/etc/f%d\"]\n    when       = task.file[\"/etc/f%d\"].changed\n  }\n", i, i-2, i-2)
		case 3:
			fmt.Fprintf(&b, "  task \"command\" \"c%d\" {\n    argv = [\"echo\", \"%d\", local.dir, host.facts.os.id]\n  }\n", i, i)
		case 4:
			fmt.Fprintf(&b, "  task \"template\" \"/etc/t%d\" {\n    source = \"t.tmpl\"\n    vars   = { n = %d, servers = groups.app }\n  }\n", i, i)
		}
	}
	b.WriteString("}\n")
	for name, text := range map[string]string{"site.hcl": b.String(), "t.tmpl": "%{ for s in servers ~}\n${s} ${n} ${host.name}\n%{ endfor ~}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
