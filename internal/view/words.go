package view

import (
	"muster/host"
	"muster/internal/engine"
)

// ActionWord is what people call a change: packages are installed, whichever kind does it. As
// JSON it stays what it is.
func ActionWord(d host.Description) string {
	if !d.OfPackages() {
		return string(d.Action)
	}
	switch d.Action {
	case host.Create:
		return "install"
	case host.Delete:
		return "remove"
	}
	return string(d.Action)
}

// placed is where a task stands: "on app1", or "on lb1, for app1" where it acts on another host.
func placed(e *engine.TaskEvent, hosts string) string {
	if e.On != "" {
		return "on " + e.On + ", for " + hosts
	}
	return "on " + hosts
}
