package modules

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"muster/host"
)

type inert struct{}

func (inert) Plan(context.Context, *host.View) (Plan, error) { return Plan{}, nil }

type shared struct {
	User string `arg:"user"`
}

type embeds struct {
	inert
	shared
	Name string `arg:"name"`
}

// Users has the name of a field that it has.
type Users struct {
	Users []string `arg:"users"`
}

type hides struct {
	inert
	Users
}

type twice struct {
	inert
	shared
	User string `arg:"owner"`
}

func TestEmbeddedStructsAreArguments(t *testing.T) {
	r := NewRegistry(Kind{Name: "k", New: func() Module { return &embeds{} }})
	m, errs := r.Decode("k", map[string]any{"user": "root", "name": "x"})
	if len(errs) > 0 || m.(*embeds).User != "root" {
		t.Errorf("%+v, %v", m, errs)
	}
}

func TestHiddenArgumentsPanic(t *testing.T) {
	for _, m := range []Module{&hides{}, &twice{}} {
		t.Run(fmt.Sprintf("%T", m), func(t *testing.T) {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, "hidden") {
					t.Errorf("panic %q", p)
				}
			}()
			NewRegistry(Kind{Name: "k", New: func() Module { return m }})
		})
	}
}
