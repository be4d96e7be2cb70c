package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"muster/internal/view"
)

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show muster's version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := a.checkFlags(); err != nil {
				return err
			}
			if a.output == "json" {
				a.view() // its first line is the version
				return nil
			}
			fmt.Fprintf(a.out, "muster %s (%s/%s, %s)\n", view.Version, runtime.GOOS, runtime.GOARCH, runtime.Version())
			for _, arch := range (remotes{}).Arches() {
				if b, err := embedded.ReadFile("remotes/linux-" + arch + ".gz"); err == nil {
					fmt.Fprintf(a.out, "remote for linux/%s: %d KiB to send\n", arch, (len(b)+1023)/1024)
				}
			}
			return nil
		},
	}
}

// starter is what `muster init` writes: a project that validates and applies
// at once, on this machine.
func starter() map[string]string {
	return map[string]string{
		"muster.hcl": `# A muster project: what stands here holds for every playbook below.
inventory = "inventory/hosts.hcl"
host_keys = "strict" # or "accept-new"
`,
		"inventory/hosts.hcl": `# Which hosts there are, and how each is reached.
host "localhost" {
  connection = "local"
}

# bastion "nat" {
#   address = "203.0.113.10"
#   user    = "ops"
# }
#
# group "web" {
#   user = "ops"
#   via  = "nat"
#   host "web1" { address = "10.0.1.21" }
#   host "web2" { address = "10.0.1.22" }
# }
`,
		"playbooks/site.hcl": `variable "path" {
  type        = string
  description = "the file that is written"
  default     = "/tmp/hello-from-muster"
}

variable "greeting" {
  type        = string
  description = "what the message says"
  default     = "Configured by muster."
}

play "everything" {
  hosts = ["all"]

  task "template" "message" {
    path   = var.path
    source = "templates/message.tmpl"
    vars   = { greeting = var.greeting }
  }
}
`,
		"playbooks/templates/message.tmpl": `${greeting}
This is ${host.name}, ${host.facts.os.id} ${host.facts.os.version}.
`,
	}
}

func newInit(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "init [DIR]",
		Short: "Make a new project that validates and applies at once",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			files := starter()
			for name := range files {
				if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
					return fmt.Errorf("%s is there already: a project is made in a folder without one", filepath.Join(dir, name))
				}
			}
			for name, content := range files {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
					return err
				}
			}
			cd := ""
			if dir != "." {
				cd = "cd " + dir + " && "
			}
			fmt.Fprintf(a.out, "Made a project in %s. Try:\n  %smuster plan playbooks/site.hcl\n  %smuster apply playbooks/site.hcl\n", dir, cd, cd)
			return nil
		},
	}
}
