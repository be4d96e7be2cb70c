package docker

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"muster/host"
	"muster/modules"
)

// Login is that a user's docker command, and muster's own kinds, may pull from a
// registry and push to it. Docker keeps it in the config.json of whom the task acts as,
// or hands it to the credential helper that this file names. A login that isn't kept yet
// is proved against the registry while planning; one that is kept isn't asked about
// again. Where the registry doesn't answer yet, since the run is about to set it up, it
// is proved when it is made.
type Login struct {
	// The registry, as images name it: "registry.example.org:5000"; "docker.io" for
	// Docker Hub.
	Registry string `arg:"registry,key,required"`
	// The user's name there.
	User string `arg:"user"`
	// The user's password, or a token that stands for one.
	Password string `arg:"password,sensitive"`
	// The file that keeps it.
	Config string `arg:"config,path" means:".docker/config.json in the home of whom the task acts as"`
	// Whether the user is logged in at all.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

// hub is the name that Docker Hub has in config.json.
const hub = "https://index.docker.io/v1/"

var registryForm = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?$`)

// Check refuses what is no registry, and contradictions.
func (l *Login) Check(unknown func(string) bool) []modules.ArgError {
	c := &argErrors{unknown: unknown}
	if !registryForm.MatchString(l.Registry) {
		hint := ""
		if name := hostnameOf(l.Registry); registryForm.MatchString(name) {
			hint = fmt.Sprintf("registry = %q", name)
		}
		c.fail("registry", "", "Wrong value", hint, "%q is no registry: it takes a name or an address, and where it isn't 443 the port, such as registry.example.org:5000.", l.Registry)
	}
	if !unknown("config") && l.Config != "" && !filepath.IsAbs(l.Config) {
		c.fail("config", "", "Wrong value", "", "%q is no absolute path on the host: it has to begin with \"/\".", l.Config)
	}
	if l.State == "absent" {
		c.absent("login", map[string]bool{"user": l.User != "", "password": l.Password != ""})
		return c.errs
	}
	for _, arg := range []struct{ name, value string }{{"user", l.User}, {"password", l.Password}} {
		switch {
		case unknown("state"):
		case arg.value == "":
			c.fail(arg.name, "", "Missing argument", "", "A login needs the user's name and password.")
		case strings.ContainsAny(arg.value, "\n\r\x00") || arg.name == "user" && strings.Contains(arg.value, ":"):
			c.fail(arg.name, "", "Wrong value", "", "The %s of a login is one line%s.", arg.name, map[string]string{"user": " without a colon"}[arg.name])
		}
	}
	return c.errs
}

// key is what config.json calls the registry.
func (l *Login) key() string {
	switch l.Registry {
	case "docker.io", "index.docker.io", "registry-1.docker.io":
		return hub
	}
	return l.Registry
}

// hostnameOf is a registry's name without what may stand around it.
func hostnameOf(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "http://"), "https://")
	name, _, _ := strings.Cut(key, "/")
	return name
}

// Withhold hides the lines of what is sensitive.
func (l *Login) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "user", "password")
}

// May is the file, wherever it is: known once the user is; and what a credential helper
// keeps.
func (l *Login) May() []host.Effect {
	list := []host.Effect{host.Open(logins, ""), host.May(host.Files)}
	if l.Config != "" {
		list = append(list, host.Open(host.Files, l.Config))
	}
	return list
}

// Plan compares what is kept with the login.
func (l *Login) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	f, err := l.file(ctx, v)
	if err != nil {
		return modules.Plan{}, err
	}
	kept, err := f.kept(ctx, v, l.key())
	if err != nil {
		return modules.Plan{}, err
	}
	want := &credential{User: l.User, Password: l.Password}
	if l.State == "absent" {
		want = nil
	}
	plan := modules.Plan{Atomic: f.helper == ""}
	if diff := kept.until(want, l.key()); diff != "" {
		if want != nil {
			later, err := prove(ctx, v, l.key(), *want, kept)
			if err != nil {
				return modules.Plan{}, err
			}
			if later != "" {
				plan.Changes = append(plan.Changes, &ProveLogin{Registry: l.key(), User: l.User, Password: v.Keep([]byte(l.Password), true), Note: later})
			}
		}
		if f.helper != "" {
			plan.Changes = append(plan.Changes, f.hand(v, l.key(), want, diff))
		}
		f.diff = diff
	}
	changes, err := f.write(v, l, want)
	plan.Changes = append(plan.Changes, changes...)
	return plan, err
}
