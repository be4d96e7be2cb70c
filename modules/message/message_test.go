package message

import (
	"context"
	"testing"

	"muster/host"
	"muster/internal/remote"
	"muster/internal/wire"
	"muster/modules"
)

func TestMessagesTouchNothing(t *testing.T) {
	for name, test := range map[string]struct {
		kind string
		args map[string]any
		want wire.Planned
	}{
		"what holds":                   {"assert", map[string]any{"condition": true}, wire.Planned{Status: wire.Unchanged}},
		"what doesn't":                 {"assert", map[string]any{"condition": false}, wire.Planned{Status: wire.Failed, Error: "the condition doesn't hold"}},
		"what doesn't, with a message": {"assert", map[string]any{"condition": false, "message": "give it more memory"}, wire.Planned{Status: wire.Failed, Error: "give it more memory"}},
		"a message":                    {"print", map[string]any{"message": "hello\n\"you\""}, wire.Planned{Status: wire.Unchanged, Output: []byte(`{"message":"hello\n\"you\""}`)}},
		"a message that isn't known":   {"print", map[string]any{"message": modules.UnknownValue{}}, wire.Planned{Status: wire.Pending, Certainty: wire.Deferred}},
		"a condition that isn't known": {"assert", map[string]any{"condition": modules.UnknownValue{}}, wire.Planned{Status: wire.Pending, Certainty: wire.Deferred}},
	} {
		t.Run(name, func(t *testing.T) {
			s := remote.NewSession(modules.NewRegistry(Kinds()...), host.New(), nil)
			p, _ := s.Plan(context.Background(), wire.Task{ID: "0/task.t", Kind: test.kind, Args: test.args})
			if p.Status != test.want.Status || p.Error != test.want.Error || string(p.Output) != string(test.want.Output) {
				t.Errorf("got %+v, want %+v", p, test.want)
			}
			if test.want.Certainty != "" && p.Certainty != test.want.Certainty {
				t.Errorf("it is %s, want %s", p.Certainty, test.want.Certainty)
			}
			for _, d := range append(p.Changes, p.Then...) {
				if d.Action.Counts() {
					t.Errorf("it would change something: %+v", p)
				}
			}
		})
	}
}
