package modules

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"muster/host"
	"muster/secret"
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

// rotated asks for all versions of an argument.
type rotated struct {
	Password string         `arg:"password"`
	Other    string         `arg:"other"`
	More     map[string]any `arg:"more"`
	Valid    []string       `versions:"password"`
}

func (*rotated) Plan(context.Context, *host.View) (Plan, error) { return Plan{}, nil }

func TestKindGetsAllVersionsOfWhatItAsksFor(t *testing.T) {
	r := NewRegistry(Kind{Name: "rotated", New: func() Module { return &rotated{} }})
	for _, c := range []struct {
		args map[string]any
		want rotated
	}{
		{map[string]any{"password": "a"}, rotated{Password: "a", Valid: []string{"a"}}},
		{map[string]any{"password": secret.New("a"), "other": secret.New("b")}, rotated{Password: "a", Valid: []string{"a"}, Other: "b"}},
		{map[string]any{"password": Versions{Use: secret.New("a"), Valid: []secret.String{secret.New("n"), secret.New("a")}}}, rotated{Password: "a", Valid: []string{"n", "a"}}},
		{map[string]any{"more": map[string]any{"deep": []any{secret.New("x"), int64(1)}}}, rotated{More: map[string]any{"deep": []any{"x", int64(1)}}}},
		{map[string]any{}, rotated{}},
	} {
		m, errs := r.Decode("rotated", c.args)
		if len(errs) > 0 || !reflect.DeepEqual(m, &c.want) {
			t.Errorf("%v became %+v, %v", c.args, m, errs)
		}
	}
	// No other argument takes them.
	if _, errs := r.Decode("rotated", map[string]any{"other": Versions{Use: secret.New("a")}}); len(errs) == 0 {
		t.Error("an argument without a field for its versions takes them")
	}
}
