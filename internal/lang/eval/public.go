package eval

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
	"muster/internal/lang/funcs"
	"muster/internal/lang/plays"
)

// publicArgs are the arguments, KIND.NAME, or NAME of every kind, that become a
// program's arguments or its environment on the host. Command lines are
// readable by every user there (proc(5)), and both end up in logs and crash
// reports, so nothing sensitive may be in them.
func publicArgs() map[string]string {
	const line, env, container = "a program's command line", "a program's environment", "a container's settings"
	return map[string]string{
		"command.argv": line, "command.shell": line, "command.env": env,
		"script.args": line, "script.env": env,
		"validate": line, "environment": env,

		"docker_container.command": container, "docker_container.entrypoint": container, "docker_container.env": container,
		"docker_container.labels": container, "docker_container.health": container,
	}
}

// public returns what an argument becomes where everybody on the host may see
// it; "" for others.
func public(kind, arg string) string {
	if what := publicArgs()[kind+"."+arg]; what != "" {
		return what
	}
	return publicArgs()[arg]
}

// exposed reports sensitive parts of a value that would be readable on the
// host. A task's own `sensitive` hides what is shown, and doesn't count.
func (e *evaluation) exposed(a *plays.Argument, v cty.Value) hcl.Diagnostics {
	what := public(e.t.Kind, a.Name)
	if what == "" || !HasSensitive(v) {
		return nil
	}
	hint := `stdin = …, or a file with mode = "0600" that the program reads`
	switch {
	case a.Name == "validate":
		hint = "The program finds it in the file that it is to look at."
	case e.t.Kind == "docker_container":
		hint = "secrets = { NAME = … }, which the container has as the file /run/secrets/NAME"
	}
	var diags hcl.Diagnostics
	_, marked := v.UnmarkDeepWithPaths()
	for _, m := range marked {
		if _, ok := m.Marks[funcs.Sensitive]; !ok {
			continue
		}
		d := diag.Error(diag.PartRange(a.Raw, m.Path), "Sensitive argument", hint, "This is sensitive, and %q becomes part of %s, which others on the host can read.", a.Name, what)
		if path := diag.PathText(m.Path); path != "" {
			d.Detail = fmt.Sprintf("%s%s is sensitive, and becomes part of %s, which others on the host can read.", a.Name, path, what)
		}
		diags = append(diags, d)
	}
	return diags
}
