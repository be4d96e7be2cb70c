package docker

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"muster/modules"
)

// nameForm is what Docker takes for the name of a container, a network or a volume.
var nameForm = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

var (
	variable   = regexp.MustCompile(`^[^=\x00]+$`)
	secretForm = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)
	userForm   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$`)
	// signals are those that a program may take for "read it anew": signal(7).
	signals = []string{"HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "WINCH", "ALRM", "CONT", "URG", "IO", "PWR"}
)

// Check refuses what Docker wouldn't take.
func (c *Container) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, path, detail string) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: "Wrong value", Detail: detail})
		}
	}
	if !nameForm.MatchString(c.Name) {
		fail("name", "", fmt.Sprintf("%q is no name of a container: two or more letters, digits, \"_\", \".\" and \"-\".", c.Name))
	}
	if c.State == "absent" {
		return errs
	}
	if c.Image == "" && !unknown("image") {
		errs = append(errs, modules.ArgError{Arg: "image", Summary: "Missing argument", Detail: "A container is made of an image."})
	} else if _, err := parseRef(c.Image); err != nil {
		fail("image", "", err.Error()+".")
	}
	c.spec(fail)
	for name := range c.Env {
		if !variable.MatchString(name) {
			fail("env", "", fmt.Sprintf("%q is no name of a variable.", name))
		}
	}
	for name := range c.Secrets {
		if !secretForm.MatchString(name) {
			fail("secrets", "", fmt.Sprintf("%q is no name of a file.", name))
		}
	}
	for name := range c.Labels {
		if name == "" || strings.HasPrefix(name, ours) {
			fail("labels", "", fmt.Sprintf("The label %q is muster's own.", name))
		}
	}
	targets := map[string]bool{}
	for i, m := range c.Volumes {
		if mount, err := parseMount(m); err == nil {
			_, target, _ := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(mount, ":ro"), ":rw"), ":")
			if targets[target] {
				fail("volumes", fmt.Sprintf("[%d]", i), fmt.Sprintf("Something is mounted on %s already.", target))
			}
			targets[target] = true
		}
	}
	ports := map[string]bool{}
	for i, p := range c.Ports {
		if port, err := parsePort(p); err == nil {
			if at := publishedOf(port); ports[at.address+":"+at.port+"/"+at.protocol] {
				fail("ports", fmt.Sprintf("[%d]", i), fmt.Sprintf("The port %s of the host is published already.", at.port))
			} else {
				ports[at.address+":"+at.port+"/"+at.protocol] = true
			}
		}
	}
	for i, n := range c.Networks {
		if (n == "host" || n == "none" || strings.HasPrefix(n, "container:")) && len(c.Networks) > 1 {
			fail("networks", fmt.Sprintf("[%d]", i), fmt.Sprintf("A container in %q is in no other network.", n))
		}
		if n == "host" && len(c.Ports) > 0 {
			fail("ports", "", `A container in the network "host" has the host's ports: none is published.`)
		}
	}
	for arg, list := range map[string][]string{"restart_on": c.RestartOn, "reload_on": c.ReloadOn} {
		for _, p := range list {
			if !filepath.IsAbs(p) {
				fail(arg, "", fmt.Sprintf("%q is no absolute path on the host: it has to begin with \"/\".", p))
			}
		}
	}
	for i, n := range c.Networks {
		if !nameForm.MatchString(strings.TrimPrefix(n, "container:")) {
			fail("networks", fmt.Sprintf("[%d]", i), fmt.Sprintf("%q is no name of a network.", n))
		} else if slices.Contains(c.Networks[:i], n) {
			fail("networks", fmt.Sprintf("[%d]", i), fmt.Sprintf("%q stands in the list already.", n))
		}
	}
	if c.User != "" && !userForm.MatchString(c.User) {
		fail("user", "", fmt.Sprintf("%q is no user: a name or a number, with a group behind a colon.", c.User))
	}
	if len(c.Secrets) > 0 && slices.ContainsFunc(c.Volumes, func(m string) bool {
		mount, err := parseMount(m)
		return err == nil && targetOf(mount) == secretsInside
	}) {
		fail("volumes", "", secretsInside+" is where its secrets are.")
	}
	if c.ReloadSignal != "" && !slices.Contains(signals, strings.TrimPrefix(c.ReloadSignal, "SIG")) {
		fail("reload_signal", "", fmt.Sprintf("%q is no signal: HUP, USR1.", c.ReloadSignal))
	}
	return errs
}
