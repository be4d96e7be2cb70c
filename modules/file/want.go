package file

import (
	"encoding/json"

	"muster/host"
	"muster/modules"
)

// wanted is a change that is compared by what its task asks for: a package
// that comes first may bring the file, so that what was to be created is
// edited, or needs another mode only.
type wanted struct {
	host.Change
	want any
}

// Type is "file.edit/1", whichever edit it takes.
func (*wanted) Type() string { return "file.edit/1" }

// Want is what the task asks for.
func (w *wanted) Want() any { return w.want }

// Obstacle is why the edit couldn't be made.
func (w *wanted) Obstacle(v *host.View) error {
	if o, ok := w.Change.(host.Obstructed); ok {
		return o.Obstacle(v)
	}
	return nil
}

// MarshalJSON is the edit's type and encoding.
func (w *wanted) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Edit string      `json:"edit"`
		Data host.Change `json:"data"`
	}{w.Change.Type(), w.Change})
}

// interruptible is a wanted change that ends early when its context does.
type interruptible struct{ wanted }

// Interruptible says so.
func (*interruptible) Interruptible() {}

// wanting makes every change of a plan want the same, the task's arguments,
// unless it wants something of its own already.
func wanting(plan modules.Plan, err error, args ...any) (modules.Plan, error) {
	for i, arg := range args {
		if m, ok := arg.(*host.ModeSpec); ok {
			args[i] = ""
			if m != nil {
				args[i] = m.String()
			}
		}
	}
	for i, c := range plan.Changes {
		if _, ok := c.(*wanted); ok {
			continue
		}
		w := wanted{c, args}
		plan.Changes[i] = &w
		if _, ok := c.(host.Interruptible); ok {
			plan.Changes[i] = &interruptible{w}
		}
	}
	return plan, err
}
