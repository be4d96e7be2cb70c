package journal

import (
	"maps"
	"slices"
	"testing"

	"muster/internal/task"
	"muster/internal/wire"
)

func TestOpenTasksAreThoseThatMayHaveBeenMade(t *testing.T) {
	h := &Host{Tasks: []Task{{Done: task.Done{Status: wire.Changed}}, {}, {}, {Edits: 1}, {}}}
	for ended, want := range map[bool][]int{
		true:  {1, 3},       // the one in hand, and one that was heard of
		false: {1, 2, 3, 4}, // who was cut off may not have kept what it heard
	} {
		if got := slices.Sorted(maps.Keys(h.Open(ended))); !slices.Equal(got, want) {
			t.Errorf("of a run that has ended (%v), open are %v, want %v", ended, got, want)
		}
	}
	lost := &Host{Tasks: []Task{{Done: task.Done{Status: wire.Changed}}, {Done: task.Done{Status: wire.Unknown}}, {Done: task.Done{Status: wire.Unknown}}, {}}}
	if got, want := slices.Sorted(maps.Keys(lost.Open(true))), []int{1, 2}; !slices.Equal(got, want) {
		t.Errorf("of a host that was lost, open are %v, want %v", got, want)
	}
}
