package view_test

import (
	"encoding/json"
	"strings"
	"testing"

	"muster/internal/engine"
	"muster/internal/view"
	"muster/internal/wire"
)

// What a print says is shown once, where its plan could say it already.
func TestAPrintIsNotShownTwice(t *testing.T) {
	say := func(host, text string) *engine.TaskEvent {
		e := event(0, 1, host, "0/task.print.one", "task.print.one", "", "")
		e.Kind, e.Status, e.Changes, e.Output = "print", wire.Unchanged, nil, json.RawMessage(`{"message":"`+text+`"}`)
		return e
	}
	for _, hosts := range [][]string{{"a"}, {"a", "b"}} {
		var planned, made []engine.Event
		for _, h := range hosts {
			planned, made = append(planned, say(h, "same")), append(made, say(h, "same"))
		}
		if got := applied(hosts, planned, made, engine.NewSummary(), view.End{}); strings.Contains(got, "same") {
			t.Errorf("it is shown again: %s", got)
		}
		made[0] = say("a", "another")
		if got := applied(hosts, planned, made, engine.NewSummary(), view.End{}); !strings.Contains(got, "another") || strings.Contains(got, "same") {
			t.Errorf("what it says now isn't shown: %s", got)
		}
	}
}
